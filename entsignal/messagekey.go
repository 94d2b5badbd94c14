package entsignal

// MessageKey identifies a message for its consumer: it is what the inbox of
// mixin.Inbox stores, and what a repeat has in common with the first copy.
type MessageKey struct {
	// Source is the application that sent the message: the AppId of a message of
	// rabbitmq.Sender, see rabbitmq.WithAppID. The ids of two applications may be
	// equal, so it must not be empty.
	Source string
	// ID is the id of the message, unique within its source: its MessageId.
	ID string
}

// String returns the key for people, as in "shop OrderPlaced:17".
func (k MessageKey) String() string { return k.Source + " " + k.ID }
