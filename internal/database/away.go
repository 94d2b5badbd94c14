package database

// AwayError marks an error of a database that can't be reached; see [Away].
// [IsUnavailable] alone can't distinguish it from a sender's error that looks the
// same.
type AwayError struct{ err error }

func (e *AwayError) Error() string { return e.err.Error() }

// Unwrap returns the error.
func (e *AwayError) Unwrap() error { return e.err }

// Away marks err if it says that the database can't be reached. err must come from
// the database and not from a sender.
func Away(err error) error {
	if IsUnavailable(err) {
		return &AwayError{err}
	}
	return err
}
