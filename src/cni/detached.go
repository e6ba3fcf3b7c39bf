package main

import (
	"encoding/binary"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Once a link is removed it is closed and in nobody's list any more. But the kernel does not let go of who removed it
// before everyone on the machine has forgotten it, and that takes five times as long as all the rest of a DEL. So another
// process removes it, and this one ends when it is gone. (A thread would not do: a process ends with its last thread.)

// sendDetached has a child of this process send the requests, and does not wait for it. The child keeps another
// connection open as long. It returns the child's number, or 0 where there is none.
//
// The child is a copy of one thread of a Go program, without the others that it relies on: it does nothing but system
// calls, with all signals blocked, since their handlers are Go's.
//
//go:norace
func (c *conn) sendDetached(other *conn, requests ...request) (child int) {
	out, _ := c.encode(requests)
	length := uintptr(len(out))
	// behind the message the address to send to, the kernel's: what is on the heap does not move
	out = append(binary.NativeEndian.AppendUint16(out, unix.AF_NETLINK), make([]byte, unix.SizeofSockaddrNetlink-2)...)
	message := uintptr(unsafe.Pointer(&out[0]))
	fd, low, high := uintptr(c.fd), uintptr(min(c.fd, other.fd)), uintptr(max(c.fd, other.fd))
	all, before := ^uint64(0), uint64(0)

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	pid, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if pid == 0 && errno == 0 {
		// the lock, and the pipes at whose other end the runtime waits, are the parent's
		unix.RawSyscall(unix.SYS_CLOSE_RANGE, 0, low-1, 0)
		unix.RawSyscall(unix.SYS_CLOSE_RANGE, low+1, high-1, 0)
		unix.RawSyscall(unix.SYS_CLOSE_RANGE, high+1, 1<<31-1, 0)
		unix.RawSyscall6(unix.SYS_SENDTO, fd, message, length, 0, message+length, unix.SizeofSockaddrNetlink)
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&before)), 0, 8, 0, 0)
	runtime.KeepAlive(out)
	if errno != 0 {
		return 0
	}
	return int(pid)
}

// gone waits until the links are, or until the child has ended without that.
func gone(links []string, child int) bool {
	for pause := time.Millisecond; ; pause = min(pause*2, 8*time.Millisecond) {
		ended, _ := unix.Wait4(child, nil, unix.WNOHANG, nil)
		left := 0
		for _, link := range links {
			if _, err := linkIndex(link); err == nil {
				left++
			}
		}
		if left == 0 {
			return true
		}
		if ended != 0 {
			return false
		}
		time.Sleep(pause)
	}
}
