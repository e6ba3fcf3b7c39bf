package main

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The agent's sets list the addresses that containers may send from. `ports4` and `ports6` of `table bridge overlaynet`
// hold elements of port . MAC address . address. A packet that comes from one of our ports and is in neither set is
// dropped.
//
// `leased4` and `leased6` of `table inet overlaynet` hold the addresses alone. A packet to one of them always causes a
// neighbour lookup; packets to other addresses do so at a limited rate.

// claim is one element of the port sets; it has one element in the leased sets.
type claim struct {
	host    string
	mac     net.HardwareAddr
	address netip.Addr
}

// element is an element of one of the agent's sets.
type element struct {
	// family is that of the table `overlaynet`.
	family uint8
	set    string
	key    []byte
	// words name the element in errors.
	words string
}

const tables = "overlaynet"

// port returns the element that permits the container to send.
func (c claim) port() element {
	return element{
		unix.NFPROTO_BRIDGE, "ports" + c.version(), c.key(), c.host + " . " + c.mac.String() + " . " + c.address.String(),
	}
}

// lease returns the element of the address alone.
func (c claim) lease() element {
	return element{unix.NFPROTO_INET, "leased" + c.version(), c.address.AsSlice(), c.address.String()}
}

func (c claim) version() string {
	if c.address.Is4() {
		return "4"
	}
	return "6"
}

func portsOf(claims []claim) []element {
	var all []element
	for _, one := range claims {
		all = append(all, one.port())
	}
	return all
}

// leasesOf leaves out link-local addresses, because nothing is routed to them.
func leasesOf(claims []claim) []element {
	var all []element
	for _, one := range claims {
		if !one.address.IsLinkLocalUnicast() {
			all = append(all, one.lease())
		}
	}
	return all
}

// key is the concatenation as the kernel compares it: each part padded to a multiple of four bytes.
func (c claim) key() []byte {
	key := make([]byte, unix.IFNAMSIZ+8, unix.IFNAMSIZ+8+16)
	copy(key, c.host)
	copy(key[unix.IFNAMSIZ:], c.mac)
	return append(key, c.address.AsSlice()...)
}

// permit adds the elements in one transaction for each table, because one table may exist without the other. Where a
// table or a set does not exist yet, the agent fills it from the records.
func permit(claims []claim) error {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.close()
	for _, elements := range [][]element{portsOf(claims), leasesOf(claims)} {
		if err := ignoreMissing(c.send(transaction(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, elements)...)); err != nil {
			return err
		}
	}
	return nil
}

// forbid removes those elements that exist. The caller should close the connection late: closing waits until the
// kernel has released what was removed, and all other transactions wait for that.
func forbid(claims []claim) (*conn, error) {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil || len(claims) == 0 {
		return c, err
	}
	return c, join(c.remove(portsOf(claims)), c.remove(leasesOf(claims)))
}

func (c *conn) remove(elements []element) error {
	err := c.send(transaction(unix.NFT_MSG_DELSETELEM, 0, elements)...)
	if isKernel(err, unix.ENOENT) && len(elements) > 1 {
		// a missing element kept the others from being removed: a transaction does all or nothing
		err = nil
		for at := range elements {
			one := transaction(unix.NFT_MSG_DELSETELEM, 0, elements[at:at+1])
			err = join(err, ignoreMissing(c.send(one...)))
		}
	}
	return ignoreMissing(err)
}

// permitted checks that the elements exist. A missing set is no error: nothing is dropped then.
func permitted(claims []claim) error {
	c, err := dial(unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer c.close()
	for _, one := range portsOf(claims) {
		set := body(
			attribute(unix.NFTA_SET_TABLE, nl.ZeroTerminated(tables)),
			attribute(unix.NFTA_SET_NAME, nl.ZeroTerminated(one.set)),
		)
		header := netfilterHeader(one.family, 0)
		if err := c.send(request{"set " + one.set, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSET, acked, append(header, set...)}); err != nil {
			if isKernel(err, unix.ENOENT) {
				continue
			}
			return err
		}
		if err := c.send(one.request(unix.NFT_MSG_GETSETELEM, 0)); err != nil {
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

// transaction changes elements, either all of them or none.
func transaction(kind, flags uint16, elements []element) []request {
	requests := []request{{"begin", unix.NFNL_MSG_BATCH_BEGIN, 0, netfilterHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)}}
	for _, one := range elements {
		requests = append(requests, one.request(kind, flags))
	}
	return append(requests, request{"end", unix.NFNL_MSG_BATCH_END, 0, netfilterHeader(unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)})
}

func (e element) request(kind, flags uint16) request {
	table := "inet"
	if e.family == unix.NFPROTO_BRIDGE {
		table = "bridge"
	}
	what := "set " + e.set + " of table " + table + " " + tables + ": " + e.words
	key := nested(unix.NFTA_SET_ELEM_KEY, attribute(unix.NFTA_DATA_VALUE, e.key))
	return request{what, unix.NFNL_SUBSYS_NFTABLES<<8 | kind, flags | acked, append(
		netfilterHeader(e.family, 0),
		body(
			attribute(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(tables)),
			attribute(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(e.set)),
			nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, nested(unix.NFTA_LIST_ELEM, key)),
		)...,
	)}
}

// netfilterHeader is struct nfgenmsg; the number is in network byte order.
func netfilterHeader(family uint8, number uint16) []byte {
	return []byte{family, unix.NFNETLINK_V0, byte(number >> 8), byte(number)}
}
