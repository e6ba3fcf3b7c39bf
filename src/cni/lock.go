package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock is held while an attachment is made, undone or judged. The kernel releases it when the holder is killed.
type lock struct{ file *os.File }

var errLocked = errors.New("another process is at work on it")

// lock waits for the current holder, or fails with errLocked if wait is false.
func (r records) lock(k key, wait bool) (*lock, error) {
	return r.lockName(k.file(), wait)
}

// unlessAtWork does work on a record under its lock. It does nothing if another process holds the lock or the record
// is gone.
func (r records) unlessAtWork(k key, work func(*attachment) error) error {
	lock, err := r.lock(k, false)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.release()
	record, err := r.read(k)
	if record == nil || err != nil {
		return err
	}
	return work(record)
}

// lockName locks one byte of a shared file; its position follows from the name. A lock file for each container would
// have to be made and removed with it.
func (r records) lockName(name string, wait bool) (*lock, error) {
	path := filepath.Join(r.dir, ".lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.MkdirAll(r.dir, 0o700); err == nil {
			file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name))
	where := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(binary.BigEndian.Uint64(sum[:]) >> 2), Len: 1}
	how := unix.F_OFD_SETLK
	if wait {
		how = unix.F_OFD_SETLKW
	}
	for {
		err = unix.FcntlFlock(file.Fd(), how, &where)
		if err == nil {
			return &lock{file}, nil
		}
		if err != unix.EINTR {
			break
		}
	}
	file.Close()
	if !wait && (err == unix.EAGAIN || err == unix.EACCES) {
		return nil, errLocked
	}
	return nil, &os.PathError{Op: "lock", Path: path, Err: err}
}

func (l *lock) release() { l.file.Close() }
