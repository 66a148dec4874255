package connectors

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNothingPrivateLiesWhereEveryProgramMayRead(t *testing.T) {
	elsewhere := t.TempDir()
	if err := os.Symlink("/usr/share", filepath.Join(elsewhere, "data")); err != nil {
		t.Fatal(err)
	}
	profile := ownProfile(t)
	for path, exposed := range map[string]bool{
		"/usr/local/lib/integrations/data": true, "/usr": true, "/": true, "/etc/passwd": true, filepath.Join(elsewhere, "data"): true, "/etc/ssl/certs/creds": true,
		elsewhere: false, "/etc/integrations/nats.creds": false, "/etc/ssl/private/key.pem": false,
	} {
		err := Config{Private: []string{path}, Profiles: []Profile{profile}}.Validate()
		if reported := err != nil && strings.Contains(err.Error(), "every program of a profile may read"); reported != exposed {
			t.Errorf("%s: %v", path, err)
		}
		if err := (Config{Private: []string{path}}).Validate(); err != nil {
			t.Errorf("%s, without profiles: %v", path, err)
		}
	}
}
