package conform

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"snrlab/internal/parity"
	"snrlab/nn/unet"
)

// networkFolder tells whether a file belongs to a recorded network, whose case
// is the folder: see package parity.
func networkFolder(file string) bool {
	folder, base := filepath.Split(file)
	if base != unet.ConfigFile && base != parity.GradsFile {
		return false
	}
	for _, f := range []string{unet.ConfigFile, parity.GradsFile} {
		if info, err := os.Stat(filepath.Join(folder, f)); err != nil || info.Mode()&fs.ModeType != 0 {
			return false
		}
	}
	return true
}

// runNetwork runs the case in a folder at the precision of networks, one result
// for each kind of number that it recorded.
func runNetwork(folder string, emit func(Result)) error {
	c, err := parity.Read(folder)
	if err != nil {
		return err
	}
	id := "unet/" + filepath.Base(folder)
	result := Result{ID: id, Peer: "diffusers", Sampler: "UNet2DModel", NFE: 1}
	differences, err := parity.Check[float32](c, parity.Single)
	if err != nil {
		result.Problem = err.Error()
		emit(result)
		return nil
	}
	for _, k := range []struct {
		kind string
		d    parity.Difference
	}{
		{"output", differences.Output},
		{"grad_x", differences.GradX},
		{"norms", differences.Norm},
		{"sums", differences.Sum},
		{"elements", differences.First},
	} {
		emit(compared(result, k.kind, k.d))
	}
	return nil
}

// compared is the result of one kind of number.
func compared(r Result, kind string, d parity.Difference) Result {
	r.ID += "/" + kind
	r.Share, r.Error, r.OK = d.Share(), d.Error, d.Share() <= 1
	r.Where = fmt.Sprintf("the %s, %.3g for %.3g, within %.1e", d.Of, d.Got, d.Want, d.Allowed)
	if math.IsInf(r.Share, 1) { // JSON has no such number
		r.Problem, r.Share, r.Error = r.Where, 0, 0
	}
	return r
}
