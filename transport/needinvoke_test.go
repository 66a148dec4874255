package transport_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/access"
	"github.com/seed677028b5/integrations/transport"
)

func TestATestThatCanChangeDataTakesThePermissionToInvokeWhereThatIsSet(t *testing.T) {
	t.Parallel()
	for _, needed := range []bool{true, false} {
		s := serve(t, func(set *settings) {
			set.adjust = func(api *transport.Server) { api.Commands.TestsNeedInvoke = needed }
		})
		u := s.clinics(t)
		test := func(key, endpoint string, body any) reply {
			return s.send(request{method: "POST", path: "/integrations/clinic/endpoints/" + endpoint + "/test", key: key, body: body})
		}
		viewer, caller := s.issue("acme", access.View), s.issue("acme", access.View, access.Invoke)
		test(viewer, "get_slot", nil).is(200)
		test(viewer, "nothing", nil).is(404)
		sent := len(u.requests())
		for _, name := range []string{"get_note", "delete_slot"} {
			test(viewer, name, members{"dry_run": true}).is(200)
			require.Len(t, u.requests(), sent, "a dry run sends nothing")
			if needed {
				require.Contains(t, test(viewer, name, nil).is(403, "forbidden").text, "Integration.invoke")
				require.Len(t, u.requests(), sent)
			} else {
				test(viewer, name, nil).is(200)
				sent++
			}
			test(caller, name, nil).is(200)
			sent++
		}
	}
}
