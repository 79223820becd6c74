package unet

import (
	"fmt"

	"snrlab/nn"
	"snrlab/nn/safetensors"
)

// Parameters lists the parameters of the network by diffusers' names, in the
// order of its modules, with their shapes: out×in for linear layers, out×in×h×w
// for convolutions.
func (c Config) Parameters() ([]safetensors.Param, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n, err := outline[float32](c)
	if err != nil {
		return nil, err
	}
	var list []safetensors.Param
	for _, p := range n.params {
		list = append(list, safetensors.Param{Name: p.Name(), Shape: p.Shape()})
	}
	return list, nil
}

// outline is the network of a valid configuration with no values yet.
func outline[T nn.Float](c Config) (*Net[T], error) {
	n, err := build(c, nn.NewOutline[T]())
	if err != nil {
		return nil, fmt.Errorf("unet: %w: %w", ErrConfig, err)
	}
	return n, nil
}
