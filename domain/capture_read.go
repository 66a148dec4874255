package domain

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	maxCaptures = 20
	maxHosts    = 50
)

var captureName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// tokenMembers are members of a token endpoint's answer that admit to something: none is
// kept where it can be read.
var tokenMembers = []string{"access_token", "refresh_token", "id_token", "device_secret", "client_secret"}

// callbackSecrets are the parameters with which a person comes back that are the protocol's: a code
// is worth a token, and state the sign-in.
var callbackSecrets = []string{"code", "state", "id_token", "access_token", "refresh_token", "token", "response"}

// noCallbackSecret is the rule for a parameter of the callback that is kept and shown.
func noCallbackSecret(name string) (code, detail string) {
	if slices.Contains(callbackSecrets, strings.ToLower(name)) {
		return "not_allowed", "is a credential or a part of the sign-in itself, and no value of the account"
	}
	return "", ""
}

// readCapture reads what is kept of the account that signs in.
func (a *Auth) readCapture(in *object) {
	if in.null("capture") {
		in.known["capture"], a.Capture = true, nil
	}
	if in.null("identity_call") {
		in.known["identity_call"], a.IdentityCall = true, nil
	}
	in.nullableText("callback_hmac", &a.CallbackHMAC, length(1, 64), noControl)
	in.object("identity_call", func(o *object) {
		var next IdentityCall
		o.text("url", &next.URL, ofAccount(identityURL, secureURL))
		o.nullableText("ok", &next.OK, length(1, 512), tokenPlace)
		o.nullableText("account", &next.Account, length(1, 512), tokenPlace)
		o.required("url", next.URL != "")
		o.done()
		a.IdentityCall = &next
	})
	in.object("capture", func(o *object) {
		a.Capture = map[string]Capture{}
		if len(o.members) > maxCaptures {
			o.problem("", "too_many", "has %d members; at most %d are allowed", len(o.members), maxCaptures)
			return
		}
		o.each(func(name string) {
			if !captureName.MatchString(name) {
				o.problem(name, "pattern", "must be a name of small letters, digits and underscores, which begins with a letter")
			}
			o.object(name, func(c *object) { a.Capture[name] = a.readOneCapture(c) })
		})
	})
	if len(a.Capture) == 0 {
		a.Capture = nil
	}
}

// identityURL is webURL for a URL that may have the access token in its path.
func identityURL(s string) (string, string) { return webURL(strings.ReplaceAll(s, "{token}", "x")) }

func (a *Auth) readOneCapture(c *object) Capture {
	var one Capture
	choice(c, "from", &one.From, FromStart, FromCallback, FromToken, FromIDToken, FromCall)
	c.required("from", one.From != "")
	switch one.From {
	case FromStart:
		c.refuseGiven("path", "the value is given under the name of the capture")
	case FromCallback:
		c.text("path", &one.Path, length(1, 128), noControl, noCallbackSecret)
	case FromCall:
		c.text("path", &one.Path, length(1, 512), choicePlace)
		c.nullableText("label", &one.Label, length(1, 512), tokenPlace)
		if a.IdentityCall == nil {
			c.problem("from", "required", "needs identity_call, which names what is called")
		}
		if one.Label != "" && !strings.Contains(one.Path, eachElement) {
			c.problem("label", "not_allowed", "is for a path with [*] in it, of whose values somebody chooses one")
		}
	default:
		c.text("path", &one.Path, length(1, 512), tokenPlace, noTokenMember)
	}
	if one.From != FromCall {
		c.refuseGiven("label", "is for a value from call, of which somebody chooses one")
	}
	c.required("path", one.Path != "" || one.From == FromStart || one.From == "")
	c.texts("hosts", &one.Hosts, maxHosts, length(1, 253), hostRule)
	c.boolean("optional", &one.Optional)
	c.done()
	return one
}

// ofAccount is the rule for a URL that may have captured values in it: as the whole host,
// the whole origin, or in the path.
func ofAccount(rules ...rule) rule {
	return func(s string) (string, string) {
		if name, scheme, rest := hostCapture(s); name != "" {
			if scheme == "" {
				scheme = "https"
			}
			s = scheme + "://account.invalid" + rest
		}
		authority := s
		if _, after, ok := strings.Cut(s, "://"); ok {
			authority, _, _ = strings.Cut(after, "/")
		}
		if UsesAccount(authority) {
			return "url_invalid", "may have a value of the account as its whole host or origin only: a host that is put together may be a stranger's"
		}
		for _, one := range rules {
			if code, detail := one(accountSyntax.ReplaceAllString(s, "x")); code != "" {
				return code, detail
			}
		}
		return "", ""
	}
}

// eachElement stands for every element of a list, once in a path.
const eachElement = "[*]"

// SplitEach splits the path of a capture at [*] into that of the list and that in each of
// its elements. Any other path is not ok.
func SplitEach(path string) (list, element string, ok bool) {
	list, element, ok = strings.Cut(path, eachElement)
	return list, strings.TrimPrefix(element, "."), ok
}

// choicePlace is the rule for a place that may have [*] in it once.
func choicePlace(s string) (string, string) {
	list, element, ok := SplitEach(s)
	if !ok {
		return tokenPlace(s)
	}
	for _, part := range []string{list, element} {
		if code, detail := tokenPlace(part); part != "" && code != "" {
			return code, detail
		}
	}
	return "", ""
}

func noTokenMember(s string) (string, string) {
	place, err := ParsePlace(s)
	if err == nil && slices.Contains(tokenMembers, place.steps[len(place.steps)-1].member) {
		return "not_allowed", "is a token, which is never shown"
	}
	return "", ""
}

// hostRule is the rule for a host of a capture: a name, or *. before at least two labels.
func hostRule(s string) (string, string) {
	name, port, hasPort := strings.Cut(s, ":")
	rest, isPattern := strings.CutPrefix(name, "*.")
	labels := strings.Split(rest, ".")
	wrong := isPattern && len(labels) < 2 || hasPort && !validPort(port)
	for _, label := range labels {
		wrong = wrong || !hostLabel.MatchString(label)
	}
	if wrong {
		return "pattern", "must be the name of a host in small letters, such as api.example.com, or *.example.com for one label more"
	}
	return "", ""
}

// accountURL is where captured values are used, and which may be used there.
type accountURL struct {
	at, text string
	known    []CaptureSource // at that time; nil: all
}

func (i *Integration) accountTexts() []accountURL {
	all := []accountURL{{"/base_url", i.BaseURL, nil}}
	if i.Auth != nil && i.Auth.Type == AuthorizationCode {
		a := i.Auth
		atStart := []CaptureSource{FromStart, FromCallback} // those of the callback may be given in advance
		all = append(all, accountURL{"/auth/authorization_url", a.AuthorizationURL, atStart}, accountURL{"/auth/token_url", a.TokenURL, atStart}, accountURL{"/auth/revocation_url", a.RevocationURL, nil})
		if a.IdentityCall != nil {
			all = append(all, accountURL{"/auth/identity_call/url", a.IdentityCall.URL, []CaptureSource{FromStart, FromCallback, FromToken, FromIDToken}})
		}
		for _, name := range slices.Sorted(maps.Keys(i.Headers)) {
			if value := i.Headers[name]; value != nil {
				all = append(all, accountURL{"/headers/" + EscapePointer(name), *value, nil})
			}
		}
	}
	if i.HealthCheck != nil {
		all = append(all, accountURL{"/health_check/path", i.HealthCheck.Path, nil})
	}
	for n, e := range i.Endpoints {
		at := fmt.Sprintf("/endpoints/%d", n)
		all = append(all, accountURL{at + "/base_url", e.BaseURL, nil}, accountURL{at + "/path", e.Path, nil})
		for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
			all = append(all, accountURL{at + "/headers/" + EscapePointer(name), e.Headers[name], nil})
		}
	}
	return all
}

// refuseAccount refuses placeholders of values that the auth does not capture, or not by
// then, and hosts that could be anybody's.
func (i *Integration) refuseAccount(o *object) {
	var capture map[string]Capture
	consents := i.Auth != nil && i.Auth.Type == AuthorizationCode
	if consents {
		capture = i.Auth.Capture
	}
	for _, one := range i.accountTexts() {
		at := newObject(one.at, nil, o.problems)
		host := ""
		if strings.HasSuffix(one.at, "url") {
			host, _, _ = hostCapture(one.text)
		}
		for _, name := range accountNames(one.text) {
			c, known := capture[name]
			switch {
			case !known:
				at.problem("", "account_unknown", "{account.%s} is no value that the capture of an auth of the type oauth2_authorization_code names", name)
			case one.known != nil && !slices.Contains(one.known, c.From):
				at.problem("", "account_unknown", "{account.%s} is not known yet when this is used", name)
			case name == host && len(c.Hosts) == 0:
				newObject("/auth/capture/"+EscapePointer(name), nil, o.problems).problem("hosts", "required", "is required: the value is the host of %s", strings.TrimPrefix(one.at, "/"))
			}
		}
	}
	if consents && i.Auth.CallbackHMAC != "" && i.Auth.ClientID == "" {
		newObject("/auth", nil, o.problems).problem("callback_hmac", "not_allowed", "needs a client_id with its client_secret_value, which is its key")
	}
}
