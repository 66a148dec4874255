package retryafter_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed677028b5/integrations/internal/retryafter"
)

func TestBothFormsAreRead(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"0": 0, " 7 ": 7 * time.Second, now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got, named := retryafter.Parse(value, now); got != want || !named {
			t.Errorf("%q is read as %s, %t", value, got, named)
		}
	}
	for _, value := range []string{"", "-1", "1.5", "soon", "99999999999"} {
		if got, named := retryafter.Parse(value, now); got != 0 || named {
			t.Errorf("%q is read as %s", value, got)
		}
	}
}
