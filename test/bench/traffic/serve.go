package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// serve answers on UDP and TCP until standard input ends.
func serve() error {
	datagrams, err := listen(syscall.SOCK_DGRAM)
	if err != nil {
		return err
	}
	connections, err := listen(syscall.SOCK_STREAM)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	start(server, func() { failed <- count(datagrams) })
	start(server, func() { failed <- accept(connections) })
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	if _, err := fmt.Println("ready"); err != nil {
		return err
	}
	return <-failed
}

// start runs it in a thread of its own, on the processor of that role.
func start(role int, work func()) {
	go func() {
		runtime.LockOSThread()
		if err := pin(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		work()
	}()
}

func listen(kind int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET6, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 0); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet6{Port: port}); err != nil {
		return 0, err
	}
	if kind == syscall.SOCK_STREAM {
		return fd, syscall.Listen(fd, 128)
	}
	return fd, nil
}

// count counts datagrams; one of a single byte asks how many came, and is answered.
func count(fd int) error {
	var received uint64
	buffer := make([]byte, 2048)
	for {
		n, from, err := syscall.Recvfrom(fd, buffer, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n != 1 {
			received++
			continue
		}
		if err := syscall.Sendto(fd, binary.BigEndian.AppendUint64(nil, received), 0, from); err != nil {
			return err
		}
	}
}

func accept(listener int) error {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_CLOEXEC)
		if err == syscall.EINTR || err == syscall.ECONNABORTED {
			continue
		}
		if err != nil {
			return err
		}
		asked := make([]byte, 1)
		if readAll(fd, asked) != nil {
			syscall.Close(fd)
			continue
		}
		switch asked[0] {
		case once:
			_ = write(fd, asked)
			syscall.Close(fd)
		case echo:
			start(server, func() { answer(fd) })
		case sink:
			start(server, func() { swallow(fd) })
		}
	}
}

// answer sends back each byte.
func answer(fd int) {
	defer syscall.Close(fd)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	one := make([]byte, 1)
	for readAll(fd, one) == nil && write(fd, one) == nil {
	}
}

// swallow takes everything, then says how much that was.
func swallow(fd int) {
	defer syscall.Close(fd)
	var total uint64
	buffer := make([]byte, 256<<10)
	for {
		n, err := syscall.Read(fd, buffer)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return
		}
		if n == 0 {
			break
		}
		total += uint64(n)
	}
	_ = write(fd, binary.BigEndian.AppendUint64(nil, total))
}
