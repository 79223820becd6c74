// Package rng splits one root of randomness into independent streams.
//
// A [Key] belongs to a sample and a purpose, never to a position in a loop:
//
//	z := root.Split("sample", 17).Split("init", 0).Stream()
//
// so batch size, row order, step count and the number of workers cannot shift
// the numbers that a sample sees. There is no global source and no time seed.
// Keys are hashes [nist2015], streams the ChaCha8 of math/rand/v2 [bernstein2008].
//
// References:
//
//	[bernstein2008] D. J. Bernstein, ChaCha, a variant of Salsa20, 2008.
//	[nist2015]      National Institute of Standards and Technology, Secure Hash Standard, FIPS 180-4, 2015.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// Key is the root of a tree of random streams; 32 bytes, comparable, printable.
type Key [32]byte

// New returns the root key of a seed.
func New(seed uint64) Key {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], seed)
	return sha256.Sum256(append([]byte("snrlab key\x00"), b[:]...))
}

// Split derives the child key of a purpose and an index. Children with another
// label or index, and keys of another depth, are independent: the child is
// SHA-256(parent, label, 0, index), in which neither part can imitate the other.
func (k Key) Split(label string, index uint64) Key {
	buf := make([]byte, 0, 128)
	buf = append(buf, k[:]...)
	buf = append(buf, label...)
	buf = append(buf, 0)
	buf = binary.LittleEndian.AppendUint64(buf, index)
	return sha256.Sum256(buf)
}

// Stream opens the ChaCha8 stream of the key. Two calls give the same numbers.
func (k Key) Stream() *rand.Rand { return rand.New(rand.NewChaCha8(k)) }

// Normal fills dst with independent standard normal numbers of the key's stream.
func (k Key) Normal(dst []float64) {
	r := k.Stream()
	for i := range dst {
		dst[i] = r.NormFloat64()
	}
}

// String prints the key as 64 hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// ParseKey reads what String prints.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != 2*len(k) {
		return k, fmt.Errorf("rng: a key has %d hexadecimal digits, got %d", 2*len(k), len(s))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return k, fmt.Errorf("rng: key %q: %w", s, err)
	}
	return k, nil
}
