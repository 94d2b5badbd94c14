package signalcli

import "github.com/entsignal/signalbus/internal/secret"

// redact hides the passwords in a text.
func redact(s string) string { return secret.Redact(s) }

// redactedError shows a cause without its passwords.
type redactedError struct{ err error }

func (e *redactedError) Error() string { return redact(e.err.Error()) }

// Unwrap returns the cause.
func (e *redactedError) Unwrap() error { return e.err }

func redacted(err error) error {
	if err == nil {
		return nil
	}
	return &redactedError{err}
}
