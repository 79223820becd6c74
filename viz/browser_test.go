package viz

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// inBrowser opens a page in headless Chromium after a script was added to its
// end, and returns what the script left in <pre id="outcome">.
func inBrowser(t *testing.T, page, hash, script string) string {
	t.Helper()
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = path
			break
		}
	}
	if browser == "" {
		t.Skip("SKIPPED: the page's script is not tested, because there is no chromium, chromium-browser or google-chrome in PATH; install one to test it")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	page = strings.Replace(page, "</body>", "<script>"+script+"</script></body>", 1)
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--virtual-time-budget=10000", "--dump-dom", "file://"+file+"#"+hash)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	m := regexp.MustCompile(`(?s)<pre id="outcome">(.*?)</pre>`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("the script left no outcome; the page's text begins %.300q", out)
	}
	return html.UnescapeString(string(m[1]))
}

// Drives the page: the address chooses, the arrow keys move, heads sort.
const drive = `
(async () => {
  const out = {};
  const errors = [];
  addEventListener("error", e => errors.push(String(e.message)));
  addEventListener("unhandledrejection", e => errors.push(String(e.reason)));
  for (let i = 0; i < 200 && document.documentElement.dataset.viewer !== "ready"; i++) await new Promise(r => setTimeout(r, 20));
  const $ = id => document.getElementById(id);
  const look = () => ({
    where: $("where").textContent,
    hash: location.hash,
    a: $("card-a").textContent,
    b: $("card-b").textContent,
    numbers: [...$("card-a").querySelectorAll(".numbers td")].map(c => c.textContent),
    tiles: [...$("card-a").querySelectorAll("canvas")].map(c => {
      const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
      return [c.width, c.height, d[4 * (14 * c.width + 14)], d[4 * (14 * c.width + 14) + 2]];
    }),
    shapes: $("card-a").querySelectorAll("svg *").length,
    chart: $("chart").querySelectorAll("path").length,
  });
  const key = k => document.body.dispatchEvent(new KeyboardEvent("keydown", {key: k, bubbles: true, cancelable: true}));
  try {
    out.ready = document.documentElement.dataset.viewer;
    out.problem = $("viewer-problem").hidden ? "" : $("viewer-problem").textContent;
    out.theme = document.documentElement.dataset.theme ?? "";
    $("walk").scrollIntoView();
    out.first = look();
    key("ArrowRight");
    out.right = look();
    key("ArrowLeft"); key("ArrowLeft");
    out.left = look();
    $("pick-budget").selectedIndex = $("pick-budget").options.length - 1;
    $("pick-budget").dispatchEvent(new Event("change"));
    $("slider").value = $("slider").max;
    $("slider").dispatchEvent(new Event("input"));
    out.last = look();
    const column = (table, i) => [...table.tBodies[0].rows].map(r => r.cells[i].dataset.v ?? r.cells[i].textContent);
    const table = $("summary");
    const heads = [...table.tHead.rows[0].cells];
    const error = heads.findIndex(h => h.textContent.trim() === "error");
    heads[error].querySelector("button").click();
    out.up = {aria: heads[error].getAttribute("aria-sort"), v: column(table, error)};
    heads[error].querySelector("button").click();
    out.down = {aria: heads[error].getAttribute("aria-sort"), v: column(table, error)};
    heads[0].querySelector("button").click();
    out.names = {aria: heads[error].getAttribute("aria-sort"), v: column(table, 0)};
    $("theme").click();
    out.after = document.documentElement.dataset.theme ?? "";
  } catch (err) { errors.push(String(err.stack ?? err)); }
  out.errors = errors;
  const pre = document.createElement("pre");
  pre.id = "outcome";
  pre.textContent = JSON.stringify(out);
  document.body.append(pre);
})();`

type look struct {
	Where, Hash, A, B string
	Numbers           []string
	Tiles             [][]int
	Shapes, Chart     int
}

type outcome struct {
	Ready, Problem, Theme, After string
	First, Right, Left, Last     look
	Up, Down, Names              struct {
		Aria string
		V    []string
	}
	Errors []string
}

func TestReport_Browser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	for name, m := range map[string]toy{"images": glyphs(), "plane": plane()} {
		t.Run(name, func(t *testing.T) {
			f := readToy(t, m, 5, 2, []int{4, 6})
			hash := url.Values{"a": {"heun"}, "b": {"ddim"}, "budget": {"6"}, "row": {"1"}, "nfe": {"3"}, "theme": {"dark"}}.Encode()
			var got outcome
			if err := json.Unmarshal([]byte(inBrowser(t, renderPage(t, f), hash, drive)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Ready != "ready" || got.Problem != "" || len(got.Errors) > 0 {
				t.Fatalf("ready %q, problem %q, errors %q", got.Ready, got.Problem, got.Errors)
			}
			if got.Theme != "dark" || got.After != "" {
				t.Errorf("theme %q, then %q: expected dark, then the system's", got.Theme, got.After)
			}
			check := func(name string, l look, where, a, b string) {
				if l.Where != where || !strings.Contains(l.A, a) || !strings.Contains(l.B, b) {
					t.Errorf("%s: %q, A %.90q, B %.90q: expected %q, %q, %q", name, l.Where, l.A, l.B, where, a, b)
				}
			}
			// Heun asked for 6 takes 3 steps and 5 evaluations, at 2, 4 and 5.
			check("first", got.First, "3 of 6 evaluations", "heunAstep 1 of 3 · 2 evaluations", "ddimBstep 3 of 6 · 3 evaluations")
			check("right", got.Right, "4 of 6 evaluations", "step 2 of 3 · 4 evaluations", "step 4 of 6")
			check("left", got.Left, "2 of 6 evaluations", "step 1 of 3", "step 2 of 6")
			check("last", got.Last, "6 of 6 evaluations", "step 3 of 3 · 5 evaluations · λ = ∞", "step 6 of 6")
			if !strings.Contains(got.Right.Hash, "nfe=4") || !strings.Contains(got.Right.Hash, "row=1") {
				t.Errorf("address %q", got.Right.Hash)
			}
			// The numbers are those of steps.csv, in three digits.
			walk := f.walks[cell{"heun", 6}]
			for i, want := range map[int]float64{2: walk[1].Global, 3: walk[1].Local, 4: walk[2].Denoised, 5: walk[1].Norm} {
				v, err := strconv.ParseFloat(strings.ReplaceAll(got.First.Numbers[i], "−", "-"), 64)
				if err != nil || math.Abs(v-want) > 0.006*want {
					t.Errorf("number %d is %s, expected %.3g", i, got.First.Numbers[i], want)
				}
			}
			if got.First.Chart < 4 {
				t.Errorf("%d curves in the chart, expected 4", got.First.Chart)
			}
			if name == "plane" {
				if got.First.Shapes < 10 {
					t.Errorf("%d shapes in the plane", got.First.Shapes)
				}
			} else {
				// Six pictures; after the last step there is no estimate.
				if len(got.First.Tiles) != 6 || len(got.Last.Tiles) != 3 {
					t.Fatalf("%d pictures, at the end %d", len(got.First.Tiles), len(got.Last.Tiles))
				}
				x := f.trace.Run("heun", 6).X
				n := len(f.trace.Samples)
				want := float64(level8(float64(x[(1*n+1)*784+14*28+14]) / unit(walk[1])))
				if tile := got.First.Tiles[0]; tile[0] != 28 || tile[1] != 28 || math.Abs(float64(tile[2])-want) > 6 {
					// Eight bits over a range of about ±4 show ±1 in 64 steps.
					t.Errorf("the state's middle pixel is %v, expected 28×28 and about %g", tile, want)
				}
			}
			sorted := func(v []string, up bool) error {
				last := math.Inf(-1)
				for _, s := range v {
					x, err := strconv.ParseFloat(s, 64)
					if err != nil {
						return err
					}
					if !up {
						x = -x
					}
					if x < last {
						return fmt.Errorf("%v is not sorted", v)
					}
					last = x
				}
				return nil
			}
			if err := sorted(got.Up.V, true); err != nil || got.Up.Aria != "ascending" {
				t.Errorf("one click: %v, %s", err, got.Up.Aria)
			}
			if err := sorted(got.Down.V, false); err != nil || got.Down.Aria != "descending" {
				t.Errorf("two clicks: %v, %s", err, got.Down.Aria)
			}
			if got.Names.Aria != "none" || got.Names.V[0] != "ab2(start=rk)" || got.Names.V[len(got.Names.V)-1] != "heun" {
				t.Errorf("by name: %v, %s", got.Names.V, got.Names.Aria)
			}
		})
	}
}
