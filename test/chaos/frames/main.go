// Command frames sends what no well-behaved program would, and counts what of it arrives. Node has no raw sockets.
//
//	frames send -link LINK -count N         frames on standard input, one a line in hexadecimal, sent in turn
//	frames udp -to ADDRESS [-from ADDRESS] [-connect] -count N    one payload on standard input, as any process may send it
//	frames count -link LINK MARKER ...      frames that came in and hold the bytes; says "ready", counts until its input ends
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const ethPAll = 0x0300 // ETH_P_ALL in network byte order

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "frames: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say send, udp or count")
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	link := flags.String("link", "eth0", "the link to send to or to listen at")
	count := flags.Int("count", 1, "how many to send")
	to := flags.String("to", "", "address and port")
	from := flags.String("from", "", "address and port")
	connect := flags.Bool("connect", false, "connect the socket before sending")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "send":
		return send(*link, *count)
	case "udp":
		return udp(*to, *from, *connect, *count)
	case "count":
		return tally(*link, flags.Args())
	}
	return fmt.Errorf("there is no %q", args[0])
}

// readHex reads lines of hexadecimal digits.
func readHex(input io.Reader) ([][]byte, error) {
	var lines [][]byte
	scanner := bufio.NewScanner(input)
	for scanner.Scan() {
		line, err := hex.DecodeString(strings.TrimSpace(scanner.Text()))
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 && scanner.Err() == nil {
		return nil, errors.New("nothing on standard input")
	}
	return lines, scanner.Err()
}

func packetSocket(link string, protocol int) (int, *syscall.SockaddrLinklayer, error) {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", link, err)
	}
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, protocol)
	if err != nil {
		return 0, nil, fmt.Errorf("packet socket: %w", err)
	}
	return fd, &syscall.SockaddrLinklayer{Protocol: uint16(protocol), Ifindex: device.Index}, nil
}

// send puts frames on a link as they are. A full queue is waited for: each frame that is said to be sent left.
func send(link string, count int) error {
	frames, err := readHex(os.Stdin)
	if err != nil {
		return err
	}
	fd, address, err := packetSocket(link, 0)
	if err != nil {
		return err
	}
	start := time.Now()
	for i := range count {
		for {
			err := syscall.Sendto(fd, frames[i%len(frames)], 0, address)
			if err == nil {
				break
			}
			if !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.EINTR) {
				return fmt.Errorf("%s: %w", link, err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	report(count, 0, start)
	return nil
}

// udp sends datagrams as any unprivileged process may. What the kernel refuses is counted apart.
func udp(to, from string, connect bool, count int) error {
	payload, err := readHex(os.Stdin)
	if err != nil {
		return err
	}
	target, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		return err
	}
	var local *net.UDPAddr
	if from != "" {
		if local, err = net.ResolveUDPAddr("udp", from); err != nil {
			return err
		}
	}
	write := func() error { return nil }
	if connect {
		socket, err := net.DialUDP("udp", local, target)
		if err != nil {
			return err
		}
		write = func() error { _, err := socket.Write(payload[0]); return err }
	} else {
		socket, err := net.ListenUDP("udp", local)
		if err != nil {
			return err
		}
		write = func() error { _, err := socket.WriteToUDP(payload[0], target); return err }
	}
	start := time.Now()
	refused := 0
	for range count {
		if write() != nil {
			refused++
		}
	}
	report(count, refused, start)
	return nil
}

func report(sent, refused int, start time.Time) {
	fmt.Printf("{\"sent\":%d,\"refused\":%d,\"ms\":%.1f}\n", sent, refused, float64(time.Since(start).Microseconds())/1000)
}

// quiet is how long nothing may arrive, once the input has ended, until the count is final.
const quiet = 300 * time.Millisecond

// longest is how long it counts at most once the input has ended: some links are never quiet.
const longest = 3 * time.Second

// tally counts the frames that a link receives and that hold a marker; prints one number a marker.
func tally(link string, markers []string) error {
	wanted := make([][]byte, len(markers))
	for i, marker := range markers {
		var err error
		if wanted[i], err = hex.DecodeString(marker); err != nil || len(wanted[i]) < 3 {
			return fmt.Errorf("%q are no three bytes or more", marker)
		}
	}
	fd, address, err := packetSocket(link, ethPAll)
	if err != nil {
		return err
	}
	const buffer = 64 << 20
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, buffer); err != nil {
		return fmt.Errorf("receive buffer: %w", err)
	}
	wait := syscall.NsecToTimeval(quiet.Nanoseconds())
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait); err != nil {
		return err
	}
	if err := syscall.Bind(fd, address); err != nil {
		return fmt.Errorf("%s: %w", link, err)
	}
	var ended atomic.Int64 // UNIX time in nanoseconds
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		ended.Store(time.Now().UnixNano())
	}()
	fmt.Println("ready")
	counts := make([]int, len(wanted))
	frame := make([]byte, 1<<16)
	for {
		size, from, err := syscall.Recvfrom(fd, frame, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if at := ended.Load(); at != 0 && (err != nil || time.Since(time.Unix(0, at)) > longest) {
			break
		}
		if errors.Is(err, syscall.EAGAIN) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", link, err)
		}
		if sender, ok := from.(*syscall.SockaddrLinklayer); ok && sender.Pkttype == syscall.PACKET_OUTGOING {
			continue
		}
		for i, marker := range wanted {
			if bytes.Contains(frame[:size], marker) {
				counts[i]++
			}
		}
	}
	fmt.Println(strings.Trim(fmt.Sprint(counts), "[]"))
	return nil
}
