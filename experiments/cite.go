package experiments

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"snrlab/internal/spec"
	"snrlab/solvers"
)

//go:embed references.bib
var bibliography string

// Citations are the works that a recipe uses, in the order of the first use.
type Citations struct {
	Recipe  string     `json:"recipe"`
	Entries []Citation `json:"entries"`
}

// Citation is one work and what it was used for.
type Citation struct {
	Key    string   `json:"key"`
	Uses   []string `json:"uses"`
	BibTeX string   `json:"bibtex"`
}

// sources are the works behind names that do not carry their own references.
var sources = map[string][]string{
	"edm":               {"karras2022"},
	"ve":                {"song2021"},
	"vp-linear":         {"song2021"},
	"subvp":             {"song2021"},
	"cosine":            {"nichol2021", "hoogeboom2023"},
	"chen-linear":       {"chen2023"},
	"chen-sigmoid":      {"chen2023"},
	"chen-cosine":       {"chen2023"},
	"arctan-log":        {"sabour2024"},
	"rf":                {"liu2023", "esser2024"},
	"flow":              {"liu2023", "esser2024"},
	"beta":              {"ho2020"},
	"shift":             {"hoogeboom2023"},
	"aligned":           {"hoogeboom2023", "esser2024"},
	"interpolated":      {"hoogeboom2023"},
	"input-scaled":      {"chen2023"},
	"flux":              {"flux2024"},
	"linear":            {"ho2020"},
	"scaled-linear":     {"rombach2022"},
	"squared-cosine":    {"nichol2021"},
	"laplace":           {"hang2024"},
	"eps-cosine":        {"ho2020", "nichol2021"},
	"v-cosine":          {"salimans2022"},
	"min-snr":           {"hang2023"},
	"sd3":               {"esser2024"},
	"debiased":          {"yu2024"},
	"truncated-snr":     {"salimans2022"},
	"soft-min-snr":      {"crowson2024"},
	"p2":                {"choi2022"},
	"sigmoid":           {"kingma2023"},
	"elbo":              {"kingma2021"},
	"vdm":               {"kingma2021"},
	"vdm++":             {"kingma2023"},
	"edm-monotonic":     {"kingma2023", "karras2022"},
	"indi":              {"delbracio2023"},
	"log-normal":        {"karras2022"},
	"logit-normal":      {"esser2024"},
	"mode":              {"esser2024"},
	"cosmap":            {"esser2024"},
	"cauchy":            {"hang2024"},
	"cosine-scaled":     {"hang2024"},
	"ddpm":              {"ho2020"},
	"vp-score":          {"song2021"},
	"simple-diffusion":  {"hoogeboom2023"},
	"learned":           {"kingma2021"},
	"karras":            {"karras2022"},
	"polynomial":        {"karras2022"},
	"time-uniform":      {"zhou2024"},
	"trailing":          {"lin2024"},
	"field":             {"wiener1949", "field1987"},
	"measured-field":    {"wiener1949"},
	"digits":            {"lecun1998", "tipping1999"},
	"points:mnist-test": {"lecun1998"},
	"likelihood":        {"song2021", "grathwohl2019"},
	"hutchinson":        {"hutchinson1990"},
}

// uses is what a recipe names.
type uses struct {
	names   []string // schedules, spacings, models
	solvers []string
	more    map[string]string // further keys, by what they are used for
	keys    []string          // further keys, of what the recipe itself tests
}

// Cite lists the works that a recipe uses.
func Cite(r *Recipe) (*Citations, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	c := &Citations{Recipe: r.Experiment.header().Name}
	u := r.Experiment.uses()
	for _, name := range u.names {
		if err := c.addName(name); err != nil {
			return nil, err
		}
	}
	for _, name := range u.solvers {
		s, err := solvers.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("experiments: %w", err)
		}
		for _, key := range s.Properties().References {
			if err := c.add(key, s.String()); err != nil {
				return nil, err
			}
		}
	}
	for _, key := range u.keys {
		if err := c.add(key, c.Recipe); err != nil {
			return nil, err
		}
	}
	for _, use := range slices.Sorted(maps.Keys(u.more)) {
		if err := c.add(u.more[use], use); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// addName adds the sources of a name and of the names inside its arguments.
func (c *Citations) addName(name string) error {
	head, args, err := spec.Split(name)
	if err != nil {
		head = name
	}
	for _, key := range sources[head] {
		if err := c.add(key, head); err != nil {
			return err
		}
	}
	for _, a := range args {
		if a.Key == "zerosnr" && a.Value == "true" {
			if err := c.add("lin2024", "zerosnr=true"); err != nil {
				return err
			}
		}
		if err := c.addName(a.Value); err != nil {
			return err
		}
	}
	return nil
}

// add notes one use of a work.
func (c *Citations) add(key, use string) error {
	i := slices.IndexFunc(c.Entries, func(e Citation) bool { return e.Key == key })
	if i < 0 {
		text, ok := bibEntry(key)
		if !ok {
			return fmt.Errorf("experiments: %s refers to [%s], which is not in the bibliography", use, key)
		}
		c.Entries = append(c.Entries, Citation{Key: key, BibTeX: text})
		i = len(c.Entries) - 1
	}
	if e := &c.Entries[i]; !slices.Contains(e.Uses, use) {
		e.Uses = append(e.Uses, use)
	}
	return nil
}

var bibHead = regexp.MustCompile(`(?m)^@[a-z]+\{([^,]+),$`)

// bibEntry returns the text of one entry.
func bibEntry(key string) (string, bool) {
	for _, m := range bibHead.FindAllStringSubmatchIndex(bibliography, -1) {
		if bibliography[m[2]:m[3]] == key {
			body, _, ok := strings.Cut(bibliography[m[0]:], "\n}")
			return body + "\n}", ok
		}
	}
	return "", false
}

// Text writes BibTeX, each entry under a comment that says what uses it.
func (c *Citations) Text(w io.Writer) error {
	t := new(table)
	for i, e := range c.Entries {
		if i > 0 {
			t.line("")
		}
		t.line("%% %s\n%s", strings.Join(e.Uses, ", "), e.BibTeX)
	}
	return t.flush(w)
}
