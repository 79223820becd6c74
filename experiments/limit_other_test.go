//go:build !unix

package experiments

// limitFiles does nothing where a process cannot bound its own files.
func limitFiles(string) {}
