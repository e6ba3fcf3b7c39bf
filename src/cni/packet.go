package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// This file builds the packet that `overlaynet send` sends, and recognises it and its answers on the links of a node.

// flow is what the packet and its answers have in common.
type flow struct {
	from, to netip.Addr
	protocol string // tcp, udp or icmp
	port     uint16
	// id is the source port of TCP and UDP, and the identifier of an echo request.
	id uint16
}

// number returns the protocol's number in an IP header.
func (f flow) number() byte {
	switch {
	case f.protocol == "tcp":
		return unix.IPPROTO_TCP
	case f.protocol == "udp":
		return unix.IPPROTO_UDP
	case f.from.Is4():
		return unix.IPPROTO_ICMP
	}
	return unix.IPPROTO_ICMPV6
}

const (
	header4, header6 = 20, 40
	hopLimit         = 64
)

// echoTypes are the ICMP types of an echo.
type echoTypes struct{ request, reply byte }

func (f flow) echo() echoTypes {
	if f.from.Is4() {
		return echoTypes{8, 0}
	}
	return echoTypes{128, 129}
}

// packet returns the IP packet: a SYN, a datagram of four zero bytes, or an echo request.
func (f flow) packet() []byte {
	body := f.payload()
	at := map[string]int{"tcp": 16, "udp": 6, "icmp": 2}[f.protocol]
	pseudo := f.pseudoHeader(len(body))
	if f.number() == unix.IPPROTO_ICMP {
		pseudo = nil
	}
	sum := checksum(pseudo, body)
	if sum == 0 && f.protocol == "udp" {
		sum = 0xffff // 0 says that there is no checksum
	}
	binary.BigEndian.PutUint16(body[at:], sum)
	return append(f.header(len(body)), body...)
}

func (f flow) payload() []byte {
	switch f.protocol {
	case "tcp":
		body := make([]byte, 20)
		binary.BigEndian.PutUint16(body, f.id)
		binary.BigEndian.PutUint16(body[2:], f.port)
		binary.BigEndian.PutUint32(body[4:], uint32(f.id)<<8)
		body[12], body[13] = 5<<4, synFlag
		binary.BigEndian.PutUint16(body[14:], 0xffff)
		return body
	case "udp":
		body := make([]byte, 12)
		binary.BigEndian.PutUint16(body, f.id)
		binary.BigEndian.PutUint16(body[2:], f.port)
		binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
		return body
	}
	body := make([]byte, 16)
	body[0] = f.echo().request
	binary.BigEndian.PutUint16(body[4:], f.id)
	return body
}

func (f flow) header(length int) []byte {
	if f.from.Is4() {
		header := make([]byte, header4)
		header[0] = 4<<4 | header4/4
		binary.BigEndian.PutUint16(header[2:], uint16(header4+length))
		header[8], header[9] = hopLimit, f.number()
		copy(header[12:], f.from.AsSlice())
		copy(header[16:], f.to.AsSlice())
		binary.BigEndian.PutUint16(header[10:], checksum(header))
		return header
	}
	header := make([]byte, header6)
	header[0] = 6 << 4
	binary.BigEndian.PutUint16(header[4:], uint16(length))
	header[6], header[7] = f.number(), hopLimit
	copy(header[8:], f.from.AsSlice())
	copy(header[24:], f.to.AsSlice())
	return header
}

// pseudoHeader is the part that the checksums of TCP, UDP and ICMPv6 cover besides the packet: RFC 9293 and RFC 8200.
func (f flow) pseudoHeader(length int) []byte {
	header := append(f.from.AsSlice(), f.to.AsSlice()...)
	return append(header, 0, 0, byte(length>>8), byte(length), 0, 0, 0, f.number())
}

// checksum returns the checksum of RFC 1071 over the parts.
func checksum(parts ...[]byte) uint16 {
	var sum uint32
	for _, part := range parts {
		for at := 0; at < len(part); at += 2 {
			sum += uint32(part[at]) << 8
			if at+1 < len(part) {
				sum += uint32(part[at+1])
			}
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// frame puts an Ethernet header before a packet.
func frame(to, from net.HardwareAddr, packet []byte) []byte {
	kind := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		kind = unix.ETH_P_IPV6
	}
	header := append(append(net.HardwareAddr{}, to...), from...)
	return append(binary.BigEndian.AppendUint16(header, kind), packet...)
}

// TCP flags.
const (
	synFlag = 0x02
	rstFlag = 0x04
	ackFlag = 0x10
)

// sight says what a packet means to a flow.
type sight struct {
	// What is request, reply, or refusal: the packet was answered with an error.
	What string `json:"what"`
	// Detail says what the packet is, in words.
	Detail string `json:"detail"`
}

// see recognises a packet of the flow, even if one of its addresses was translated, and ICMP errors about it.
func (f flow) see(packet []byte) (sight, bool) {
	seen, ok := read(packet)
	if !ok {
		return sight{}, false
	}
	if quoted, isError := seen.quoted(); isError {
		if about, ok := read(quoted); ok && f.isRequest(about) {
			return sight{"refusal", fmt.Sprintf("%s, from %s", seen.error(), seen.from)}, true
		}
		return sight{}, false
	}
	switch {
	case f.isRequest(seen):
		return sight{"request", f.protocol}, true
	case f.isReply(seen):
		return sight{"reply", f.words(seen)}, true
	}
	return sight{}, false
}

func (f flow) isRequest(p parsed) bool {
	if p.protocol != f.number() || p.from != f.from && p.to != f.to {
		return false
	}
	switch f.protocol {
	case "icmp":
		return p.body[0] == f.echo().request && p.word(4) == f.id
	case "udp":
		return p.word(0) == f.id
	}
	// an ICMP error quotes no flags; an answer of the container's own kernel is no request
	return p.word(0) == f.id && (len(p.body) < 14 || p.body[13]&(synFlag|ackFlag|rstFlag) == synFlag)
}

func (f flow) isReply(p parsed) bool {
	if p.protocol != f.number() || p.from != f.to && p.to != f.from {
		return false
	}
	if f.protocol == "icmp" {
		return p.body[0] == f.echo().reply && p.word(4) == f.id
	}
	return p.word(2) == f.id
}

// words describes an answer.
func (f flow) words(p parsed) string {
	switch {
	case f.protocol != "tcp":
		return map[string]string{"icmp": "echo reply", "udp": "UDP"}[f.protocol]
	case len(p.body) < 14:
		return "TCP"
	case p.body[13]&rstFlag != 0:
		return "TCP RST: nothing listens there"
	case p.body[13]&(synFlag|ackFlag) == synFlag|ackFlag:
		return "TCP SYN-ACK"
	}
	return "TCP"
}

// parsed holds the fields of a packet that are used here.
type parsed struct {
	from, to netip.Addr
	protocol byte
	// body is what follows the IP header: at least 8 bytes.
	body []byte
}

func (p parsed) word(at int) uint16 { return binary.BigEndian.Uint16(p.body[at:]) }

// read returns false if it is not an IP packet, or is cut off.
func read(packet []byte) (parsed, bool) {
	var p parsed
	switch {
	case len(packet) >= header4 && packet[0]>>4 == 4:
		length := int(packet[0]&0xf) * 4
		if length < header4 || len(packet) < length {
			return p, false
		}
		p.from, p.to = netip.AddrFrom4([4]byte(packet[12:16])), netip.AddrFrom4([4]byte(packet[16:20]))
		p.protocol, p.body = packet[9], packet[length:]
	case len(packet) >= header6 && packet[0]>>4 == 6:
		p.from, p.to = netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
		p.protocol, p.body = packet[6], packet[header6:]
	}
	return p, len(p.body) >= 8
}

// quoted returns the packet that an ICMP error is about.
func (p parsed) quoted() ([]byte, bool) {
	kind := p.body[0]
	isError := p.protocol == unix.IPPROTO_ICMP && (kind == 3 || kind == 11) ||
		p.protocol == unix.IPPROTO_ICMPV6 && kind >= 1 && kind <= 4
	return p.body[8:], isError
}

// error names an ICMP error: RFC 792 and RFC 4443.
func (p parsed) error() string {
	kind, code := p.body[0], p.body[1]
	name := fmt.Sprintf("ICMP %d/%d", kind, code)
	if p.protocol == unix.IPPROTO_ICMPV6 {
		name = fmt.Sprintf("ICMPv6 %d/%d", kind, code)
	}
	if words, ok := icmpErrors[[3]byte{p.protocol, kind, code}]; ok {
		return name + " " + words
	}
	return name
}

var icmpErrors = map[[3]byte]string{
	{unix.IPPROTO_ICMP, 3, 0}:   "network unreachable",
	{unix.IPPROTO_ICMP, 3, 1}:   "host unreachable",
	{unix.IPPROTO_ICMP, 3, 3}:   "port unreachable",
	{unix.IPPROTO_ICMP, 3, 4}:   "the packet is too long",
	{unix.IPPROTO_ICMP, 3, 13}:  "administratively prohibited",
	{unix.IPPROTO_ICMP, 11, 0}:  "too many hops",
	{unix.IPPROTO_ICMPV6, 1, 0}: "no route",
	{unix.IPPROTO_ICMPV6, 1, 1}: "administratively prohibited",
	{unix.IPPROTO_ICMPV6, 1, 3}: "host unreachable",
	{unix.IPPROTO_ICMPV6, 1, 4}: "port unreachable",
	{unix.IPPROTO_ICMPV6, 2, 0}: "the packet is too long",
	{unix.IPPROTO_ICMPV6, 3, 0}: "too many hops",
}
