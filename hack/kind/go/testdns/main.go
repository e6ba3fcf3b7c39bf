// testdns: the CoreDNS of upstream's test image, which answers what a test wrote into its Corefile and nothing else.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/log"
)

func main() {
	// the order in which a query passes them, as CoreDNS's own plugin.cfg has it
	dnsserver.Directives = []string{"errors", "log", "hosts"}
	coremain.Run()
}
