package annotation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"entgo.io/ent/schema"
)

// InboxName is the name under which ent carries an [Inbox].
const InboxName = "EntSignalInbox"

// The fields of mixin.Inbox, and their columns.
const (
	FieldSource     = "source"
	FieldMessageID  = "message_id"
	FieldReceivedAt = "received_at"
)

// KeySize is how many bytes each half of a message key may have: as many as AMQP's
// properties.
const KeySize = 255

// Inbox makes an entity one whose rows are the keys of messages that were handled.
// It is set by mixin.Inbox.
type Inbox struct {
	Retention time.Duration `json:"retention,omitempty"` // 0: a week
}

// Name implements [schema.Annotation].
func (Inbox) Name() string { return InboxName }

// Merge implements [schema.Merger]: other wins.
func (a Inbox) Merge(other schema.Annotation) schema.Annotation {
	switch other := other.(type) {
	case Inbox:
		return other
	case *Inbox:
		if other != nil {
			return *other
		}
	}
	return a
}

// DecodeInbox reads an annotation from the form in which ent's code generator holds
// it. It returns an error for a field that this version of the library doesn't know.
func DecodeInbox(raw any) (Inbox, error) {
	var a Inbox
	data, err := json.Marshal(raw)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(data))
		dec.DisallowUnknownFields()
		err = dec.Decode(&a)
	}
	if err != nil {
		return a, fmt.Errorf("entsignal: annotation %s: %w", InboxName, err)
	}
	return a, nil
}

var (
	_ schema.Annotation = Inbox{}
	_ schema.Merger     = Inbox{}
)
