package admission_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/admission"
	"github.com/seed677028b5/integrations/domain"
)

const memory = 512 << 20

// bomb decodes to about 40 MiB.
var bomb = []byte("[" + strings.Repeat("{},", 350_000) + "{}]")

func TestMemoryOfAllRequestsIsBoundedAndReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := admission.New(memory)
		held := []func(){}
		for {
			ctx, release := gate.Open(t.Context())
			soon, cancel := context.WithTimeout(ctx, admission.Patience)
			err := admission.Answer(soon, admission.Weight(bomb))
			cancel()
			if err != nil {
				refusal, ok := errors.AsType[*domain.Error](err)
				require.True(t, ok)
				require.Equal(t, "overloaded", refusal.Code)
				require.Equal(t, domain.Unavailable, refusal.Kind)
				require.Equal(t, map[string]uint64{"requests": 0, "calls": 0, "texts": 0, "answers": 1, "writing": 0}, gate.Refused())
				break
			}
			held = append(held, release)
		}
		require.LessOrEqual(t, int64(len(held))*admission.Weight(bomb), int64(memory/2))
		require.NotEmpty(t, held)
		waiting := make(chan error)
		go func() {
			ctx, release := gate.Open(t.Context())
			defer release()
			waiting <- admission.Answer(ctx, admission.Weight(bomb))
		}()
		synctest.Wait() // until it waits for room
		gone, leave := context.WithCancel(t.Context())
		leave()
		ctx, release := gate.Open(gone)
		require.Error(t, admission.Answer(ctx, admission.Weight(bomb)))
		release()
		require.Equal(t, uint64(1), gate.Refused()["answers"], "a caller who has gone was not refused")
		held[0]()
		require.NoError(t, <-waiting)
	})
}

func TestARequestTakesOneSlotAndAnOversizedOneTheWholePool(t *testing.T) {
	gate := admission.New(32 << 20) // 64 slots
	ctx, release := gate.Open(t.Context())
	for range 100 {
		require.NoError(t, admission.Call(ctx))
	}
	within, nothing := gate.Open(ctx)
	require.NoError(t, admission.Call(within))
	nothing()
	for range 63 {
		other, leave := gate.Open(t.Context())
		defer leave()
		require.NoError(t, admission.Call(other))
	}
	last, leave := gate.Open(t.Context())
	defer leave()
	soon, cancel := context.WithTimeout(last, time.Millisecond)
	defer cancel()
	require.Error(t, admission.Call(soon), "there is no 65th slot")
	require.NoError(t, admission.Text(ctx, 1<<30))
	release()
	late, end := context.WithCancel(ctx) // of a request that is over: what it acquires is released
	defer end()
	require.NoError(t, admission.Text(late, 1<<30))
	require.NoError(t, admission.Text(late, 1<<30))
}

func TestWithoutAGateOrWithLittleMemoryNothingWaits(t *testing.T) {
	var none *admission.Gate
	ctx, release := none.Open(t.Context())
	defer release()
	ended, end := context.WithCancel(ctx)
	end()
	require.NoError(t, admission.Call(ended))
	require.NoError(t, admission.Text(ended, 1<<30))
	require.NoError(t, admission.Answer(ended, 1<<30))
	small, give := admission.New(1).Open(ended)
	defer give()
	require.NoError(t, admission.Text(small, admission.FreeBytes))
	require.NoError(t, admission.Request(small, []byte(`{"a": [1, 2]}`)))
}
