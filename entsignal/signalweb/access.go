package signalweb

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"strings"
)

// Access is what a request may do.
type Access int

// The kinds of access.
const (
	None     Access = iota // nothing
	ReadOnly               // look
	Full                   // also retry, discard and flush
)

// An Option configures [Handler].
type Option struct{ set func(*settings) }

// settings are what options set.
type settings struct {
	authorize  func(*http.Request) Access
	token      bool // there is a token to sign in with
	showFields bool
	log        *slog.Logger
}

// Authorize lets access decide what each request may do. By default it is [ReadOnly]
// for all. It is called for each request, also those for the style sheet, and may be
// called by several goroutines. Of several [Authorize] and [Token] the last one holds.
//
// For a stream of events it is called again before each event, and every 15 seconds at
// least, with the request that began the stream: what a middleware has put into its
// context is as old as the stream. A stream that is no longer permitted ends.
//
// It panics if access is nil.
func Authorize(access func(*http.Request) Access) Option {
	if access == nil {
		panic("signalweb: Authorize: the function is nil")
	}
	return Option{func(s *settings) { s.authorize, s.token = access, false }}
}

// Token gives [Full] access to requests that bring the token, as a bearer token or as
// the password of basic authentication with any user, and [ReadOnly] to all others. The
// page then has a link to sign in, at which a browser asks for the token. An empty
// token is never right.
func Token(token string) Option {
	right := sha256.Sum256([]byte(token))
	return Option{func(s *settings) {
		s.token = token != ""
		s.authorize = func(r *http.Request) Access {
			given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				_, given, _ = r.BasicAuth()
			}
			sum := sha256.Sum256([]byte(given)) // so that the comparison doesn't tell the length either
			if subtle.ConstantTimeCompare(sum[:], right[:]) == 1 && token != "" {
				return Full
			}
			return ReadOnly
		}
	}}
}

// ShowFields shows the fields of messages, but those that the schema marks as
// sensitive. By default none is shown, because they may be about people.
func ShowFields() Option { return Option{func(s *settings) { s.showFields = true }} }

// WithLogger logs each action to l: which, on what, by whom and with what result. By
// default nothing is logged. It panics if l is nil.
func WithLogger(l *slog.Logger) Option {
	if l == nil {
		panic("signalweb: WithLogger: the logger is nil")
	}
	return Option{func(s *settings) { s.log = l }}
}
