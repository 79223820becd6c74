// Package bench holds the networks whose speed snrlab compares with that of other
// programs: their config.json, in the dialect of diffusers, and the batch. Two are
// of the size that digits need; the third is the network of [ho2020] for CIFAR-10.
//
// References:
//
//	[ho2020] Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models. NeurIPS
//	         2020. arXiv:2006.11239.
package bench

import (
	"embed"
	"encoding/json"
	"fmt"

	"snrlab/nn/unet"
)

//go:embed *.json
var files embed.FS

// A Network is a U-Net and the batch that it is timed on.
type Network struct {
	Name   string
	Config unet.Config
	Batch  int
}

// Networks lists the networks, from the least work to the most.
func Networks() ([]Network, error) {
	text, err := files.ReadFile("networks.json")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	var entries []struct {
		Name, Config string
		Batch        int
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, fmt.Errorf("bench: networks.json: %w", err)
	}
	var list []Network
	for _, e := range entries {
		text, err := files.ReadFile(e.Config)
		if err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
		c, err := unet.ParseConfig(text)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", e.Config, err)
		}
		list = append(list, Network{e.Name, c, e.Batch})
	}
	return list, nil
}
