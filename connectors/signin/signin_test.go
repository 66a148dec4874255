package signin

import (
	"fmt"
	"strings"
	"testing"
)

func TestASiteIsWhatWasRegistered(t *testing.T) {
	for target, want := range map[string]string{
		"https://api.example.co.uk/v1": "example.co.uk", "https://AUTH.example.co.uk.:8443": "example.co.uk", "http://10.0.0.1:80": "10.0.0.1",
		"http://[::1]:80": "::1", "http://localhost:1": "localhost", "https://one.github.io": "one.github.io", "": "", "://": "",
	} {
		if got := site(target); got != want {
			t.Errorf("the site of %q is %q, want %q", target, got, want)
		}
	}
}

func TestTokensAreForgottenWhenThereAreTooMany(t *testing.T) {
	kept := newLRU[int](3)
	for n := range 3 {
		kept.put(fmt.Sprint(n), n)
	}
	kept.get("0")
	kept.put("3", 3)
	for key, want := range map[string]bool{"0": true, "1": false, "2": true, "3": true} {
		if _, ok := kept.get(key); ok != want {
			t.Errorf("%s is kept: %t", key, ok)
		}
	}
}

func TestADiscoveredTokenEndpointHasTLSWhereTheServerHasIt(t *testing.T) {
	if f := trusted("https://ehr.example/r4", "http://ehr.example/token"); f == nil || !strings.Contains(f.Sentence, "without TLS") {
		t.Errorf("got %v", f)
	}
	if f := trusted("https://ehr.example/r4", "https://login.example/token"); f != nil {
		t.Errorf("got %v", f)
	}
}
