// Package safetensors reads and writes safetensors files, the checkpoints of
// diffusers and others: eight bytes with the length of a header, the header in
// JSON (name, dtype, shape and place of each tensor), and the tensors' elements
// row-major and little-endian [huggingface2022].
//
// The reader takes nothing on trust. A file is accepted if the header and the
// tensors cover it from the first byte to the last, once, with no name twice,
// and if each shape fits its bytes. All of that is checked before an element is
// read, and memory is asked for only where the file has the bytes for it. Any
// file gives tensors or an error, never a panic. An error names the tensor, what
// was expected and what came.
//
// Numbers are gorgonia.org/tensor Dense arrays of float32, or float64 for F64.
// The 16-bit floats widen exactly, and are rounded to the nearest, ties to even,
// when written [ieee2019]. Other dtypes are bytes.
//
// Differs from the reference implementation: keys that occur twice, keys that
// the format does not have, and elements that are not finite (unless
// [Options] allows them) are errors; 8-bit floats and complex numbers are not
// known.
//
// References:
//
//	[huggingface2022] Hugging Face. Safetensors: a simple, safe way to store
//	                  tensors. Format description, 2022.
//	[ieee2019]        IEEE Standard for Floating-Point Arithmetic. IEEE Std
//	                  754-2019: formats and rounding.
package safetensors
