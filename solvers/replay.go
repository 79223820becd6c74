package solvers

import "fmt"

// Replay answers the requests of one stepper, in order, from recorded arrays.
// A stepper that resumes sets its position back.
type Replay struct {
	draws    [][]float64 // rows×dim standard normal numbers each
	position int
}

// NewReplay returns the source that plays draws, which it retains.
func NewReplay(draws [][]float64) *Replay { return &Replay{draws: draws} }

// Normal implements [Noise]. It fails when the recording is exhausted, has
// another shape, or would have to invent an iterated integral or uniform numbers.
func (r *Replay) Normal(req NoiseRequest) error {
	switch {
	case req.Uniform != nil:
		return fmt.Errorf("replayed noise: step %d wants uniform numbers, which a recording of normal ones does not hold", req.Step)
	case req.Rows != nil:
		return fmt.Errorf("replayed noise: step %d wants numbers for single rows, and a recording holds those of whole batches", req.Step)
	case req.Integral != nil:
		return fmt.Errorf("replayed noise: step %d wants an iterated integral, which a recording of increments does not hold", req.Step)
	case r.position >= len(r.draws):
		return fmt.Errorf("replayed noise: step %d, draw %d: the recording has only %d", req.Step, r.position, len(r.draws))
	case len(r.draws[r.position]) != len(req.Z):
		return fmt.Errorf("replayed noise: step %d, draw %d: the recording has %d numbers, the request wants %d", req.Step, r.position, len(r.draws[r.position]), len(req.Z))
	}
	copy(req.Z, r.draws[r.position])
	r.position++
	return nil
}

// Left returns the number of recorded draws that were not asked for.
func (r *Replay) Left() int { return len(r.draws) - r.position }

// Position returns the number of draws consumed.
func (r *Replay) Position() int { return r.position }

// Seek sets the number of draws consumed.
func (r *Replay) Seek(position int) error {
	if position < 0 || position > len(r.draws) {
		return fmt.Errorf("replayed noise: position %d of a recording of %d draws", position, len(r.draws))
	}
	r.position = position
	return nil
}
