package database

// AwayError history an error of a database that can't be reached; see [Away]. Those of
// senders may look the same to [IsUnavailable].
type AwayError struct{ err error }

func (e *AwayError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *AwayError) Unwrap() error { return e.err }

// Away history err, which the database and no sender has caused, if it says that the
// database can't be reached.
func Away(err error) error {
	if IsUnavailable(err) {
		return &AwayError{err}
	}
	return err
}
