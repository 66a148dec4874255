package egress

import (
	"net/http"
	"net/url"
	"reflect"
	"testing"

	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

func TestARequestIsShownWithMasksWhereTheServicePutACredential(t *testing.T) {
	const own = "hunter2-hunter2" // as a caller would guess it
	target, _ := url.Parse("https://a.example/" + own + "?mine=" + own)
	out := &Request{URL: target, Header: http.Header{"X-Mine": {own}}, Body: []byte(own)}
	out.SetSecretHeader("X-Tenant", "abc", "abc") // too short to be found by value
	out.SetSecretHeader("Authorization", "Bearer Tenant", "Tenant")
	out.SetSecretQuery("api key", own)
	want := domain.CallRequest{
		URL:     "https://a.example/" + own + "?mine=" + own + "&api+key=" + scrub.Mask,
		Headers: http.Header{"X-Mine": {own}, "X-Tenant": {scrub.Mask}, "Authorization": {scrub.Mask}}, Body: own,
	}
	if shown := out.Shown(); !reflect.DeepEqual(shown, want) {
		t.Errorf("got %+v", shown)
	}
}
