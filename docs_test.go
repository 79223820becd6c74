package snrlab_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// source is one package with its tests.
type source struct {
	dir   string
	files []*ast.File
	doc   *doc.Package
}

// sources parses all packages of the module.
func sources(t *testing.T) []source {
	t.Helper()
	byDir := map[string][]*ast.File{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() && path != "." && (name[0] == '.' || name == "testdata" || name == "runs" || name == "bin") {
			return filepath.SkipDir
		}
		if !e.IsDir() && strings.HasSuffix(path, ".go") {
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
			if err != nil {
				return err
			}
			byDir[filepath.Dir(path)] = append(byDir[filepath.Dir(path)], f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	for dir, files := range byDir {
		if !slices.ContainsFunc(files, func(f *ast.File) bool { return !isTest(fset, f) }) {
			continue // only tests
		}
		p, err := doc.NewFromFiles(fset, files, "snrlab/"+filepath.ToSlash(dir), doc.PreserveAST)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{filepath.ToSlash(dir), files, p})
	}
	slices.SortFunc(all, func(a, b source) int { return strings.Compare(a.dir, b.dir) })
	if len(all) < 15 {
		t.Fatalf("found %d packages", len(all))
	}
	return all
}

func isTest(fset *token.FileSet, f *ast.File) bool {
	return strings.HasSuffix(fset.Position(f.Package).Filename, "_test.go")
}

// public reports a package that other modules may import.
func (s source) public() bool {
	return s.dir != "." && !strings.Contains("/"+s.dir+"/", "/internal/") && s.doc.Name != "main"
}

var referenceLine = regexp.MustCompile(`(?m)^\t\[(\S+)\]`)

// references returns the keys of the package comment's References block.
func (s source) references() []string {
	_, block, _ := strings.Cut(s.doc.Doc, "References:\n")
	var keys []string
	for _, m := range referenceLine.FindAllStringSubmatch(block, -1) {
		keys = append(keys, m[1])
	}
	return keys
}

func TestDocs_Packages(t *testing.T) {
	for _, s := range sources(t) {
		if s.doc.Doc == "" {
			t.Errorf("%s: the package has no comment", s.dir)
		}
		// A package of tests is used in tests, where examples cannot go, and
		// rests on the references of what it tests.
		if !s.public() || s.dir == "solvers/solvertest" || s.dir == "nn/nntest" {
			continue
		}
		if !slices.IsSorted(s.references()) || len(s.references()) == 0 {
			t.Errorf("%s: the package comment has the references %v: expected some, in order", s.dir, s.references())
		}
		runs := false
		for _, f := range s.files {
			for _, e := range doc.Examples(f) {
				runs = runs || e.Output != ""
			}
		}
		if !runs {
			t.Errorf("%s: no example that runs, with an // Output comment", s.dir)
		}
	}
}

// obvious are methods whose meaning their interface gives.
var obvious = []string{"String", "Error", "Unwrap"}

func TestDocs_Exported(t *testing.T) {
	for _, s := range sources(t) {
		if s.doc.Name == "main" {
			continue
		}
		need := func(comment, name string) {
			if strings.TrimSpace(comment) == "" {
				t.Errorf("%s: %s has no comment", s.dir, name)
			}
		}
		values := func(list []*doc.Value) {
			for _, v := range list {
				for _, spec := range v.Decl.Specs {
					vs := spec.(*ast.ValueSpec)
					for _, n := range vs.Names {
						if n.IsExported() {
							need(v.Doc+vs.Doc.Text()+vs.Comment.Text(), n.Name)
						}
					}
				}
			}
		}
		funcs := func(list []*doc.Func) {
			for _, f := range list {
				if f.Recv != "" && slices.Contains(obvious, f.Name) {
					continue
				}
				name := strings.TrimPrefix(f.Recv+".", ".") + f.Name
				need(f.Doc, name)
				if f.Doc != "" && !strings.HasPrefix(f.Doc, f.Name+" ") {
					t.Errorf("%s: the comment of %s begins %.30q: expected its name", s.dir, name, f.Doc)
				}
			}
		}
		values(s.doc.Consts)
		values(s.doc.Vars)
		funcs(s.doc.Funcs)
		for _, ty := range s.doc.Types {
			need(ty.Doc, ty.Name)
			values(ty.Consts)
			values(ty.Vars)
			funcs(ty.Funcs)
			funcs(ty.Methods)
		}
	}
}

// A citation is [ho2020], [hairer1993, section II.1] or one of several between
// semicolons.
var (
	citation = regexp.MustCompile(`\[([a-z]+[0-9]{4}[a-z]*(?:[,;][^\]]*)?)\]`)
	key      = regexp.MustCompile(`^\s*([a-z]+[0-9]{4}[a-z]*)`)
)

func TestDocs_Citations(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "." {
			continue // this file
		}
		known := s.references()
		cited := map[string]bool{}
		read := func(text string) {
			for _, m := range citation.FindAllStringSubmatch(text, -1) {
				for part := range strings.SplitSeq(m[1], ";") {
					k := key.FindStringSubmatch(part)
					if k == nil {
						continue
					}
					cited[k[1]] = true
					if !slices.Contains(known, k[1]) {
						t.Errorf("%s: [%s] is cited and not in the package's References", s.dir, k[1])
					}
				}
			}
		}
		for _, f := range s.files {
			for _, group := range f.Comments {
				text, _, _ := strings.Cut(group.Text(), "References:\n")
				read(text)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok {
					cited[strings.Trim(lit.Value, `"`)] = true
					read(lit.Value)
				}
				return true
			})
		}
		for _, k := range known {
			if !cited[k] {
				t.Errorf("%s: [%s] is in the References and nothing cites it", s.dir, k)
			}
		}
	}
}

// A work has one key wherever it is cited, which arXiv numbers tell.
func TestDocs_OneKeyAWork(t *testing.T) {
	bib, err := os.ReadFile("experiments/references.bib")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"experiments/references.bib": regexp.MustCompile(`(?m)^@[a-z]+\{([^,]+),`).ReplaceAllString(string(bib), "\t[$1]")}
	for _, s := range sources(t) {
		_, texts[s.dir], _ = strings.Cut(s.doc.Doc, "References:\n")
	}
	number := regexp.MustCompile(`\b[0-9]{4}\.[0-9]{5}\b`)
	works, keys := map[string]string{}, map[string]string{}
	for dir, text := range texts {
		heads := referenceLine.FindAllStringSubmatchIndex(text, -1)
		for i, h := range heads {
			end := len(text)
			if i+1 < len(heads) {
				end = heads[i+1][0]
			}
			k, n := text[h[2]:h[3]], number.FindString(text[h[1]:end])
			if n == "" {
				continue
			}
			if was := keys[n]; was != "" && was != k {
				t.Errorf("%s: %s is [%s] here and [%s] elsewhere", dir, n, k, was)
			}
			if was := works[k]; was != "" && was != n {
				t.Errorf("%s: [%s] is %s here and %s elsewhere", dir, k, n, was)
			}
			keys[n], works[k] = k, n
		}
	}
	if len(works) < 15 {
		t.Errorf("found %d works", len(works))
	}
}
