package main

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// conn is a netlink socket that sends several requests in one call. Each request waits for the kernel's locks, but
// not for this process to be scheduled again, which takes most of the time when containers start together.
type conn struct {
	fd       int
	sequence uint32
}

// dial opens a connection in the calling thread's network namespace.
func dial(protocol int) (*conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	// answers carry the kernel's own message, and do not repeat the request
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("netlink socket: %w", err)
		}
	}
	// a missing answer must not keep a container waiting for ever
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &conn{fd: fd}, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// request is one message. What describes what it does, for error messages.
type request struct {
	what  string
	kind  uint16
	flags uint16
	body  []byte
}

// body joins a message's fixed part and attributes.
func body(parts ...nl.NetlinkRequestData) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part.Serialize()...)
	}
	return all
}

// kernelError is the kernel's error answer to a request.
type kernelError struct {
	what   string
	errno  syscall.Errno
	detail string
}

func (e *kernelError) Error() string {
	if e.detail != "" {
		return fmt.Sprintf("%s: %s (%s)", e.what, e.errno, e.detail)
	}
	return fmt.Sprintf("%s: %s", e.what, e.errno)
}

func (e *kernelError) Unwrap() error { return e.errno }

// send makes the kernel carry out the requests in order. It continues after a failure and returns all errors.
// Requests without NLM_F_ACK are not waited for.
func (c *conn) send(requests ...request) error {
	out, waiting := c.encode(requests)
	if err := unix.Sendto(c.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: netlink: %w", requests[0].what, err)
	}
	return c.answers(waiting)
}

// encode joins the requests into one buffer, and returns which answers to expect.
func (c *conn) encode(requests []request) ([]byte, map[uint32]string) {
	var out []byte
	waiting := map[uint32]string{}
	for _, one := range requests {
		c.sequence++
		if one.flags&unix.NLM_F_ACK != 0 {
			waiting[c.sequence] = one.what
		}
		// struct nlmsghdr; the kernel fills in the sender's port
		out = binary.NativeEndian.AppendUint32(out, uint32(unix.NLMSG_HDRLEN+len(one.body)))
		out = binary.NativeEndian.AppendUint16(out, one.kind)
		out = binary.NativeEndian.AppendUint16(out, one.flags|unix.NLM_F_REQUEST)
		out = binary.NativeEndian.AppendUint32(out, c.sequence)
		out = binary.NativeEndian.AppendUint32(out, 0)
		out = append(out, one.body...)
		out = append(out, make([]byte, -len(one.body)&3)...)
	}
	return out, waiting
}

func (c *conn) answers(waiting map[uint32]string) error {
	var failed failures
	buffer := make([]byte, 1<<16)
	for len(waiting) > 0 {
		count, _, err := unix.Recvfrom(c.fd, buffer, 0)
		if err == unix.EINTR {
			continue
		}
		var messages []syscall.NetlinkMessage
		if err == nil {
			messages, err = syscall.ParseNetlinkMessage(buffer[:count])
		}
		if err != nil {
			return append(failed, fmt.Errorf("netlink: %w", err))
		}
		for _, message := range messages {
			if message.Header.Type != unix.NLMSG_ERROR || len(message.Data) < 4 {
				continue
			}
			errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(message.Data)))
			what, known := waiting[message.Header.Seq]
			if !known && errno != 0 {
				// the answer to a message that encloses others, for example where the kernel has no nftables
				return append(failed, &kernelError{"netlink", errno, detail(message)})
			}
			delete(waiting, message.Header.Seq)
			if errno != 0 {
				failed = append(failed, &kernelError{what, errno, detail(message)})
			}
		}
	}
	return join(failed...)
}

// detail returns the text that the kernel adds to the error's number, if any.
func detail(message syscall.NetlinkMessage) string {
	const header = 4 + unix.NLMSG_HDRLEN
	if message.Header.Flags&unix.NLM_F_ACK_TLVS == 0 || len(message.Data) < header {
		return ""
	}
	attributes, err := nl.ParseRouteAttr(message.Data[header:])
	if err != nil {
		return ""
	}
	for _, attribute := range attributes {
		if attribute.Attr.Type == unix.NLMSGERR_ATTR_MSG {
			return nl.BytesToString(attribute.Value)
		}
	}
	return ""
}
