//go:build unix

package experiments

import (
	"os/signal"
	"strconv"
	"syscall"
)

// limitFiles bounds the size of the files this process can write, if a limit
// is given. Writing past it fails.
func limitFiles(limit string) {
	n, err := strconv.ParseUint(limit, 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}
