package domain

// A Capture is a value of the account that a person has signed in with, which is kept with
// the authorization: calls use it as {account.<name>}.
type Capture struct {
	From     CaptureSource `json:"from"`
	Path     string        `json:"path,omitempty"`     // the name of a parameter, or a place in an answer
	Label    string        `json:"label,omitempty"`    // call: what people are shown to choose by, where Path has several values
	Hosts    []string      `json:"hosts,omitempty"`    // the hosts that the value may be: names, or *. for one label before one
	Optional bool          `json:"optional,omitempty"` // a consent without it is good
}

// CaptureSource is where a Capture comes from.
type CaptureSource string

// The sources of captures. The set is closed.
const (
	FromStart    CaptureSource = "start"    // the caller who asks for the link
	FromCallback CaptureSource = "callback" // the parameters that the person comes back with
	FromToken    CaptureSource = "token"    // the answer of the token endpoint, again with each refresh
	FromIDToken  CaptureSource = "id_token" // the claims of its ID token
	FromCall     CaptureSource = "call"     // the answer to the identity call
)

// An IdentityCall asks an API who has signed in, once after a consent.
type IdentityCall struct {
	URL     string `json:"url"`               // with {token} in it the access token goes there, in place of a header
	OK      string `json:"ok,omitempty"`      // a member of the answer that must be true
	Account string `json:"account,omitempty"` // who it is
}

// A Choice is one of several values of a Capture, of which somebody chooses one.
type Choice struct {
	Value string `json:"value"`
	Label string `json:"label,omitempty"`
}

// MaxChoices is the most values of a Capture that are kept.
const MaxChoices = 200
