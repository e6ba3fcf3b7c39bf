package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// This file watches a flow's packets on every link of the node's namespace, as tcpdump does.

// sighting is one kind of packet on one link.
type sighting struct {
	Link string `json:"link"`
	// Direction is in for packets that the link received, or out.
	Direction string `json:"direction"`
	sight
	Count int `json:"count"`
	// Micros is the time of the first one, in microseconds since the watch began.
	Micros int64 `json:"micros"`
}

// watch is a packet socket with a filter for one flow.
type watch struct {
	fd    int
	flow  flow
	start time.Time
	seen  []sighting
}

func newWatch(f flow) (*watch, error) {
	// without a protocol the socket receives nothing until the filter is attached
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	w := &watch{fd: fd, flow: f, start: time.Now(), seen: []sighting{}}
	filter := f.filter()
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		w.close()
		return nil, fmt.Errorf("filter of the packet socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL)}); err != nil {
		w.close()
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	return w, nil
}

func (w *watch) close() { unix.Close(w.fd) }

// until reads packets until done returns true or the time is over.
func (w *watch) until(end time.Time, done func() bool) error {
	buffer := make([]byte, 256)
	for !done() {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		ready := []unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}
		if count, err := unix.Poll(ready, int(left.Milliseconds())+1); err == unix.EINTR || count == 0 {
			continue
		} else if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		length, from, err := unix.Recvfrom(w.fd, buffer, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR || err == unix.ENETDOWN {
			continue
		}
		if err != nil {
			return fmt.Errorf("packet socket: %w", err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok {
			w.take(buffer[:length], link)
		}
	}
	return nil
}

func (w *watch) take(packet []byte, from *unix.SockaddrLinklayer) {
	what, ok := w.flow.see(packet)
	if !ok {
		return
	}
	// the link of a container that just ended has no name any more
	link, err := net.InterfaceByIndex(from.Ifindex)
	if err != nil || probePort.MatchString(link.Name) {
		return
	}
	direction := "in"
	if from.Pkttype == unix.PACKET_OUTGOING {
		direction = "out"
	}
	for at := range w.seen {
		one := &w.seen[at]
		if one.Link == link.Name && one.Direction == direction && one.sight == what {
			one.Count++
			return
		}
	}
	w.seen = append(w.seen, sighting{link.Name, direction, what, 1, time.Since(w.start).Microseconds()})
}

// answered tells whether an answer has reached the sender's bridge.
func (w *watch) answered(bridge string) bool {
	for _, one := range w.seen {
		if one.Link == bridge && one.What != "request" {
			return true
		}
	}
	return false
}

// filter accepts packets of this family that have the flow's id, and ICMP errors. A node may carry a million packets a
// second, so the kernel filters them. Packets that pass are checked again by see.
func (f flow) filter() []unix.SockFilter {
	load := func(code uint16, at uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_LD | code, K: at} }
	// yes and no are numbers of instructions to skip
	equal := func(value uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: value, Jt: yes, Jf: no}
	}
	answer := func(bytes uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: bytes} }
	const byteAt, byteBehind, wordBehind = unix.BPF_ABS | unix.BPF_B, unix.BPF_IND | unix.BPF_B, unix.BPF_IND | unix.BPF_H
	version, protocolAt, icmp := uint32(4), uint32(9), uint32(unix.IPPROTO_ICMP)
	behindHeader := unix.SockFilter{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0}
	if f.from.Is6() {
		version, protocolAt, icmp = 6, 6, unix.IPPROTO_ICMPV6
		behindHeader = unix.SockFilter{Code: unix.BPF_LDX | unix.BPF_W | unix.BPF_IMM, K: header6}
	}
	first, second := uint32(0), uint32(2)
	if f.protocol == "icmp" {
		first, second = 4, 4
	}
	return []unix.SockFilter{
		load(byteAt, 0),
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 4},
		equal(version, 0, 13),
		behindHeader,
		load(byteAt, protocolAt),
		equal(uint32(f.number()), 0, 4),
		load(wordBehind, first),
		equal(uint32(f.id), 7, 0),
		load(wordBehind, second),
		equal(uint32(f.id), 5, 0),
		load(byteAt, protocolAt),
		equal(icmp, 0, 4),
		load(byteBehind, 0),
		equal(uint32(f.echo().request), 2, 0),
		equal(uint32(f.echo().reply), 1, 0),
		answer(256),
		answer(0),
	}
}

func networkOrder(value uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, value))
}
