package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Ports of steady traffic, apart from those of what measures rates.
const (
	steadyUDP = 5002
	steadyTCP = 5003
)

// What one end of steady traffic has seen. Every number in Sent of one end is to be in Received of the other.
type ends struct {
	Sent       uint64 `json:"sent"`
	Received   uint64 `json:"received"`
	Duplicates uint64 `json:"duplicates"`
	// Bytes of the stream, which only one end writes.
	Written uint64 `json:"written"`
	Read    uint64 `json:"read"`
	// Why the stream ended before it was told to.
	Broken string `json:"broken,omitempty"`
}

// steady sends numbered datagrams to the other end and takes its own, and keeps one TCP stream whose bytes count up. It
// says "ready" once both ends hear each other, and begins; a line on standard input ends the sending, the end of the input
// all: then it prints what it has seen.
func steady(to netip.Addr, rate int, listens bool) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: steadyUDP})
	if err != nil {
		return err
	}
	if err := deepQueue(conn); err != nil {
		return err
	}
	stream, err := open(to, listens)
	if err != nil {
		return err
	}
	var seen ends
	var stop atomic.Bool
	received := make(chan struct{})
	go func() {
		defer close(received)
		hear(conn, &seen)
	}()
	streamed := make(chan struct{})
	go func() {
		defer close(streamed)
		if listens {
			readCounting(stream, &seen)
		} else {
			writeCounting(stream, &seen, &stop)
		}
	}()
	sent := make(chan error, 1)
	go func() { sent <- say(conn, to, rate, &seen, &stop) }()
	if _, err := fmt.Println("ready"); err != nil {
		return err
	}
	input := bufio.NewReader(os.Stdin)
	_, _ = input.ReadString('\n')
	stop.Store(true)
	if err := <-sent; err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, input)
	<-streamed
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	<-received
	return json.NewEncoder(os.Stdout).Encode(&seen)
}

// deepQueue holds seconds of traffic, so that a process that waits for its processor loses nothing.
func deepQueue(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 16<<20)
	})
	return errors.Join(err, failed)
}

func open(to netip.Addr, listens bool) (net.Conn, error) {
	if !listens {
		address := netip.AddrPortFrom(to, steadyTCP).String()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			conn, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil || time.Now().After(end) {
				return conn, err
			}
		}
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: steadyTCP})
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	if err := listener.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	return listener.Accept()
}

// say sends at the rate, a few at once where it was late. What the kernel refuses with an error counts as sent, and so as lost.
func say(conn *net.UDPConn, to netip.Addr, rate int, seen *ends, stop *atomic.Bool) error {
	target := netip.AddrPortFrom(to, steadyUDP)
	datagram := make([]byte, 64)
	start := time.Now()
	for !stop.Load() {
		due := uint64(time.Since(start).Seconds() * float64(rate))
		for ; seen.Sent < due; seen.Sent++ {
			binary.BigEndian.PutUint64(datagram, seen.Sent)
			_, _ = conn.WriteToUDPAddrPort(datagram, target)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// hear counts each number once.
func hear(conn *net.UDPConn, seen *ends) {
	var numbers []uint64 // a bit for each
	buffer := make([]byte, 128)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if err != nil || n != 64 {
			continue
		}
		number := binary.BigEndian.Uint64(buffer)
		for uint64(len(numbers)) <= number/64 {
			numbers = append(numbers, 0)
		}
		bit := uint64(1) << (number % 64)
		if numbers[number/64]&bit != 0 {
			seen.Duplicates++
			continue
		}
		numbers[number/64] |= bit
		seen.Received++
	}
}

// writeCounting writes 64 KB a hundred times a second at most, bytes that count up.
func writeCounting(stream net.Conn, seen *ends, stop *atomic.Bool) {
	defer stream.Close()
	data := make([]byte, 64<<10)
	for i := range data {
		data[i] = byte(i)
	}
	for !stop.Load() {
		n, err := stream.Write(data)
		seen.Written += uint64(n)
		if err != nil {
			seen.Broken = err.Error()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func readCounting(stream net.Conn, seen *ends) {
	defer stream.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := stream.Read(buffer)
		for i := range n {
			if buffer[i] != byte(seen.Read) {
				seen.Broken = fmt.Sprintf("byte %d is %d", seen.Read, buffer[i])
				return
			}
			seen.Read++
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			seen.Broken = err.Error()
			return
		}
	}
}
