package domain

import "encoding/json"

// SignedIn is what a call uses of an authorization: the access token, and the values of the
// account that it is of. They come from one read, so that they belong together.
type SignedIn struct {
	Access   Secret
	Captured map[string]string // values of the account, by the names of captures
	Proof    Secret            // the private key, in PEM, that proves each use of the token (RFC 9449); empty: it takes none
	Unchosen string            // why Captured is not complete: nobody has chosen. Empty: it is
}

// signedInText is SignedIn as a keyring returns it.
type signedInText struct {
	Access   string            `json:"access"`
	Captured map[string]string `json:"captured,omitempty"`
	Proof    string            `json:"proof,omitempty"`
	Unchosen string            `json:"unchosen,omitempty"`
}

// Secret returns s as a keyring returns it for SignedInRef.
func (s SignedIn) Secret() (Secret, error) {
	text, err := json.Marshal(signedInText{s.Access.Reveal(), s.Captured, s.Proof.Reveal(), s.Unchosen})
	return NewSecret(string(text)), err
}

// ReadSignedIn reads what a keyring returned for SignedInRef.
func ReadSignedIn(of Secret) (SignedIn, error) {
	var read signedInText
	if err := json.Unmarshal([]byte(of.Reveal()), &read); err != nil {
		return SignedIn{}, Errorf(Invalid, "secret_unreadable", "the tokens of this authorization can't be read; sign in again")
	}
	return SignedIn{Access: NewSecret(read.Access), Captured: read.Captured, Proof: NewSecret(read.Proof), Unchosen: read.Unchosen}, nil
}

// signedInField is the field of the reference of what a person's consent gave.
const signedInField = "signed_in"

// SignedInRef returns the reference by which a keyring opens what a person's consent gave, as
// SignedIn. It names the access token that the upstream refused, if any: the keyring then
// opens another one.
func SignedInRef(refused string) SecretRef {
	ref := SecretRef{Field: signedInField, ID: signedInField}
	if refused != "" {
		ref.ID += "-" + digest(refused)
	}
	return ref
}

// SignedInLastRef is SignedInRef for what is there, also a token that has ended: nothing is sent
// with it.
func SignedInLastRef() SecretRef { return SecretRef{Field: signedInField, ID: signedInField + "-last"} }

// IsSignedInRef reports whether a reference is one of SignedInRef.
func IsSignedInRef(ref SecretRef) bool { return ref.Field == signedInField }

// Refused reports whether a reference of SignedInRef names token as refused.
func (r SecretRef) Refused(token string) bool { return r.ID == SignedInRef(token).ID && token != "" }
