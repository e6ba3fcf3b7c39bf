package main

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The agent's sets of what a container may send as: `ports4` and `ports6` of `table bridge overlaynet`, whose elements
// are port . hardware address . address. What comes in by one of our ports and is in neither is dropped.

const spoofTable = "overlaynet"

// claim is one element.
type claim struct {
	port    string
	mac     net.HardwareAddr
	address netip.Addr
}

func (c claim) set() string {
	if c.address.Is4() {
		return "ports4"
	}
	return "ports6"
}

// key is the concatenation as the kernel compares it: each part filled up to four bytes.
func (c claim) key() []byte {
	key := make([]byte, unix.IFNAMSIZ+8, unix.IFNAMSIZ+8+16)
	copy(key, c.port)
	copy(key[unix.IFNAMSIZ:], c.mac)
	return append(key, c.address.AsSlice()...)
}

// permit adds the elements. Where the table or a set is not there yet, the agent fills it from the records.
func permit(claims []claim) error {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.close()
	return ignoreMissing(c.send(transaction(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, claims)...))
}

// forbid removes the elements, as far as they are there. The connection is to be closed late: who closes it waits until
// the kernel has let go of what was removed, and everyone else's transactions wait for that.
func forbid(claims []claim) (*conn, error) {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil || len(claims) == 0 {
		return c, err
	}
	err = c.send(transaction(unix.NFT_MSG_DELSETELEM, 0, claims)...)
	if isKernel(err, unix.ENOENT) && len(claims) > 1 {
		// one that is missing has kept the others from going: all or nothing
		err = nil
		for at := range claims {
			one := transaction(unix.NFT_MSG_DELSETELEM, 0, claims[at:at+1])
			err = join(err, ignoreMissing(c.send(one...)))
		}
	}
	return c, ignoreMissing(err)
}

// permitted finds out whether the elements are there. Where a set is not, nothing is dropped for lack of an element.
func permitted(claims []claim) error {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.close()
	for _, one := range claims {
		set := body(
			attribute(unix.NFTA_SET_TABLE, nl.ZeroTerminated(spoofTable)),
			attribute(unix.NFTA_SET_NAME, nl.ZeroTerminated(one.set())),
		)
		header := netfilterHeader(unix.NFPROTO_BRIDGE, 0)
		if err := c.send(request{"set " + one.set(), unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSET, acked, append(header, set...)}); err != nil {
			if isKernel(err, unix.ENOENT) {
				continue
			}
			return err
		}
		if err := c.send(element(unix.NFT_MSG_GETSETELEM, 0, one)); err != nil {
			return err
		}
	}
	return nil
}

func ignoreMissing(err error) error {
	if isKernel(err, unix.ENOENT) {
		return nil
	}
	return err
}

// transaction changes elements, all of them or none.
func transaction(kind, flags uint16, claims []claim) []request {
	requests := []request{{"begin", unix.NFNL_MSG_BATCH_BEGIN, 0, netfilterHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}}
	for _, one := range claims {
		requests = append(requests, element(kind, flags, one))
	}
	return append(requests, request{"end", unix.NFNL_MSG_BATCH_END, 0, netfilterHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)})
}

func element(kind, flags uint16, of claim) request {
	what := "set " + of.set() + " of table bridge " + spoofTable + ": " + of.port + " . " + of.mac.String() + " . " + of.address.String()
	key := nested(unix.NFTA_SET_ELEM_KEY, attribute(unix.NFTA_DATA_VALUE, of.key()))
	return request{what, unix.NFNL_SUBSYS_NFTABLES<<8 | kind, flags | acked, append(
		netfilterHeader(unix.NFPROTO_BRIDGE, 0),
		body(
			attribute(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(spoofTable)),
			attribute(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(of.set())),
			nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, nested(unix.NFTA_LIST_ELEM, key)),
		)...,
	)}
}

// netfilterHeader is struct nfgenmsg; the number is in network order.
func netfilterHeader(family uint8, number uint16) []byte {
	return []byte{family, unix.NFNETLINK_V0, byte(number >> 8), byte(number)}
}
