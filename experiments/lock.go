//go:build unix

package experiments

import (
	"errors"
	"os"
	"syscall"
)

// folderLock keeps two processes out of one folder. The system releases it
// when the process ends, however it ends.
type folderLock struct{ f *os.File }

func lockFolder(path string) (*folderLock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, err
	}
	return &folderLock{f}, nil
}

func (l *folderLock) Close() error { return l.f.Close() }
