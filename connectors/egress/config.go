package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Config is the policy: where requests may go, and how. The zero value reaches public
// addresses only.
type Config struct {
	AllowLoopback bool             // may requests reach the loopback interface of this machine? Default: no
	AllowCIDRs    []netip.Prefix   // private networks that requests may reach. Default: none
	DenyAddrs     []netip.AddrPort // our own listeners, never dialled even when loopback is allowed. Default: none
	ProxyURL      string           // http or https proxy for all requests. Default: none, whatever the environment has
	CAFile        string           // PEM file of roots trusted beside the system's. Default: none
	Version       string           // of the product, for User-Agent. Default: dev
}

// Validate reports everything that is wrong with c at once.
func (c Config) Validate() error {
	var problems []error
	for _, prefix := range c.AllowCIDRs {
		switch {
		case !prefix.IsValid() || prefix.Addr().Is4In6():
			problems = append(problems, fmt.Errorf("the allowed network %q is not a CIDR", prefix))
		case prefix.Bits() == 0:
			problems = append(problems, fmt.Errorf("the allowed network %s is every address; name the networks that are meant", prefix))
		}
	}
	for _, listener := range c.DenyAddrs {
		if !listener.IsValid() {
			problems = append(problems, fmt.Errorf("the denied listener %q is not an address and a port", listener))
		}
	}
	if c.ProxyURL != "" {
		u, err := url.Parse(c.ProxyURL)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
			problems = append(problems, errors.New("the egress proxy must be an http or https URL"))
		}
	}
	if c.CAFile != "" {
		if _, err := rootsWith(c.CAFile); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// String describes in one line where requests may go, for the operator.
func (c Config) String() string {
	parts := []string{"public addresses"}
	if len(c.AllowCIDRs) > 0 {
		var networks []string
		for _, prefix := range c.AllowCIDRs {
			networks = append(networks, prefix.String())
		}
		parts = append(parts, "networks "+strings.Join(networks, " "))
	}
	if c.AllowLoopback {
		parts = append(parts, "loopback")
	}
	policy := strings.Join(parts, ", ")
	if c.ProxyURL != "" {
		u, _ := url.Parse(c.ProxyURL) // Validate has read it
		policy += "; through the proxy " + u.Scheme + "://" + u.Host
	}
	if c.CAFile != "" {
		policy += "; with the roots in " + c.CAFile
	}
	return policy
}
