// Command traffic makes network traffic and says how much of it got through. It calls the kernel straight: Go's own
// sockets wait by epoll, and what that takes would hide a part of what the network takes.
//
//	traffic serve                                      says "ready", answers until its input ends
//	traffic udp|rr|crr|stream|streams -to ADDRESS -for DURATION    prints packets, rounds or bits a second
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const port = 5001

// Processors, by role.
const (
	server = 0
	client = 1
)

// What the first byte of a connection asks for.
const (
	echo = 'e' // each byte sent back
	once = 'o' // one byte sent back, then the end
	sink = 's' // everything counted
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "traffic: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say serve, udp, rr, crr, stream or streams")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	to := flags.String("to", "127.0.0.1", "address of the server")
	length := flags.Duration("for", time.Second, "how long")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	// everything from here on, and each thread that it starts, stays on one processor: where the scheduler puts two
	// programs that talk decides more than the network does
	runtime.LockOSThread()
	if args[0] == "serve" {
		if err := pin(server); err != nil {
			return err
		}
		return serve()
	}
	if err := pin(client); err != nil {
		return err
	}
	address, err := netip.ParseAddr(*to)
	if err != nil {
		return err
	}
	perform := map[string]func(netip.Addr, time.Duration) (float64, error){
		"udp": udp, "rr": requests, "crr": connections,
		"stream":  func(to netip.Addr, length time.Duration) (float64, error) { return streams(to, length, 1) },
		"streams": func(to netip.Addr, length time.Duration) (float64, error) { return streams(to, length, 8) },
	}[args[0]]
	if perform == nil {
		return fmt.Errorf("there is no %q", args[0])
	}
	perSecond, err := perform(address, *length)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%.0f\n", perSecond)
	return err
}

// pin keeps the calling thread on the processor of its role; a machine with one has it for both.
func pin(role int) error {
	var mask [16]uint64
	cpu := min(role, runtime.NumCPU()-1)
	mask[cpu/64] |= 1 << (cpu % 64)
	_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	if errno != 0 {
		return fmt.Errorf("sched_setaffinity: %w", errno)
	}
	return nil
}

func sockaddr(to netip.Addr) syscall.Sockaddr {
	if to.Is4() {
		return &syscall.SockaddrInet4{Port: port, Addr: to.As4()}
	}
	return &syscall.SockaddrInet6{Port: port, Addr: to.As16()}
}

func family(to netip.Addr) int {
	if to.Is4() {
		return syscall.AF_INET
	}
	return syscall.AF_INET6
}

func connect(to netip.Addr, kind int) (int, error) {
	fd, err := syscall.Socket(family(to), kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.Connect(fd, sockaddr(to)); err != nil {
		syscall.Close(fd)
		return 0, fmt.Errorf("connect: %w", err)
	}
	if kind == syscall.SOCK_STREAM {
		err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	return fd, err
}

// readAll fills the buffer.
func readAll(fd int, buffer []byte) error {
	for at := 0; at < len(buffer); {
		n, err := syscall.Read(fd, buffer[at:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
		at += n
	}
	return nil
}

// write writes it all, whatever signals Go's scheduler sends meanwhile.
func write(fd int, data []byte) error {
	for len(data) > 0 {
		n, err := syscall.Write(fd, data)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
