package main

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
	"time"
)

// udp sends datagrams of 64 bytes as fast as the kernel takes them; the rate is that of those which arrive. The question
// that comes first, and its answer, make it a connection for conntrack, as that of any protocol over UDP is.
func udp(to netip.Addr, length time.Duration) (float64, error) {
	fd, err := connect(to, syscall.SOCK_DGRAM)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	before, err := received(fd)
	if err != nil {
		return 0, err
	}
	datagram := make([]byte, 64)
	start := time.Now()
	for time.Since(start) < length {
		for range 100 {
			// a full queue is part of the rate
			if _, err := syscall.Write(fd, datagram); err != nil && err != syscall.ENOBUFS && err != syscall.EINTR {
				return 0, err
			}
		}
	}
	took := time.Since(start)
	time.Sleep(20 * time.Millisecond)
	after, err := received(fd)
	return float64(after-before) / took.Seconds(), err
}

// received asks how many datagrams the server has had.
func received(fd int) (uint64, error) {
	wait := syscall.NsecToTimeval((200 * time.Millisecond).Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait); err != nil {
		return 0, err
	}
	answer := make([]byte, 8)
	for range 10 {
		if _, err := syscall.Write(fd, []byte{0}); err != nil {
			continue
		}
		if n, err := syscall.Read(fd, answer); err == nil && n == 8 {
			return binary.BigEndian.Uint64(answer), nil
		}
	}
	return 0, errors.New("the server does not say how many datagrams came")
}

// requests sends a byte and waits for its answer, over and over on one connection.
func requests(to netip.Addr, length time.Duration) (float64, error) {
	fd, err := connect(to, syscall.SOCK_STREAM)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	if err := write(fd, []byte{echo}); err != nil {
		return 0, err
	}
	return repeat(length, func() error { return ask(fd) })
}

// connections makes one for each request.
func connections(to netip.Addr, length time.Duration) (float64, error) {
	return repeat(length, func() error {
		fd, err := connect(to, syscall.SOCK_STREAM)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		if err := write(fd, []byte{once}); err != nil {
			return err
		}
		// the server ends it first, so that the client's port is free again
		if err := readAll(fd, make([]byte, 1)); err != nil {
			return err
		}
		_, err = syscall.Read(fd, make([]byte, 1))
		return err
	})
}

func ask(fd int) error {
	if err := write(fd, []byte{0}); err != nil {
		return err
	}
	return readAll(fd, make([]byte, 1))
}

func repeat(length time.Duration, once func() error) (float64, error) {
	start := time.Now()
	rounds := 0
	for time.Since(start) < length {
		if err := once(); err != nil {
			return 0, err
		}
		rounds++
	}
	return float64(rounds) / time.Since(start).Seconds(), nil
}

// streams sends as much as goes through; the rate is in bits, of what the server had.
func streams(to netip.Addr, length time.Duration, count int) (float64, error) {
	type outcome struct {
		bytes uint64
		err   error
	}
	outcomes := make(chan outcome, count)
	began := time.Now()
	for range count {
		start(client, func() {
			bytes, err := stream(to, length)
			outcomes <- outcome{bytes, err}
		})
	}
	var total uint64
	for range count {
		one := <-outcomes
		if one.err != nil {
			return 0, one.err
		}
		total += one.bytes
	}
	return float64(total) * 8 / time.Since(began).Seconds(), nil
}

func stream(to netip.Addr, length time.Duration) (uint64, error) {
	fd, err := connect(to, syscall.SOCK_STREAM)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	if err := write(fd, []byte{sink}); err != nil {
		return 0, err
	}
	data := make([]byte, 128<<10)
	for start := time.Now(); time.Since(start) < length; {
		if err := write(fd, data); err != nil {
			return 0, err
		}
	}
	if err := syscall.Shutdown(fd, syscall.SHUT_WR); err != nil {
		return 0, err
	}
	answer := make([]byte, 8)
	err = readAll(fd, answer)
	return binary.BigEndian.Uint64(answer), err
}
