package terminal_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/terminal"
)

func TestTextOfCallersCannotControlTheTerminal(t *testing.T) {
	require.Equal(t, "crm\uFFFD[31m", terminal.Printable("crm\x1b[31m"))
}

func TestLongJSONIsTruncated(t *testing.T) {
	require.Equal(t, `{"a":1}`, terminal.ShortJSON(map[string]int{"a": 1}))
	require.Equal(t, `"a\u202e\u200b\udb40\udc01"`, terminal.ShortJSON("a\u202e\u200b\U000e0001"), "what can't be printed is escaped")
	require.Equal(t, `"`+strings.Repeat("ä", 99)+"…", terminal.ShortJSON(strings.Repeat("ä", 200)))
}

func TestAnOperatorSeesTheCauseOnce(t *testing.T) {
	cause := errors.New("dial tcp: refused")
	err := domain.Wrap(cause, domain.Unavailable, "read_store_unavailable", "the read store does not answer")
	require.NotContains(t, err.Error(), "refused")
	require.Equal(t, "the read store does not answer: dial tcp: refused", terminal.OperatorError(err).Error())
	require.Equal(t, cause, terminal.OperatorError(cause))
}

func TestProgressIsShownOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := terminal.NewProgress(&out, "events", 40)
		for n := range 40 {
			time.Sleep(100 * time.Millisecond)
			p.Set(n + 1)
		}
		p.Done()
		require.Equal(t, "10 of 40 events\n20 of 40 events\n30 of 40 events\n40 of 40 events\n40 events in 4s, 10 a second\n", out.String())

		out.Reset()
		terminal.NewProgress(&out, "events", 1).Done()
		require.Empty(t, out.String())
	})
}

func TestTheRateIsShownEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := terminal.NewRate(&out)
		for n := range uint64(7) {
			time.Sleep(time.Second)
			r.Add(3, n)
		}
		r.Done(6)
		require.Equal(t, "position 4, 3 events a second\n21 events up to position 6 in 7s, 3 a second\n", out.String())
	})
}
