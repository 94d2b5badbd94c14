// Package kinds has the types of a project's own that its entities use.
package kinds

import (
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Cents is an amount of money.
type Cents int64

// BadgeID is an id that looks otherwise in the database: it is stored in
// lower case and shown with a prefix.
type BadgeID string

// NewBadgeID returns a new id.
func NewBadgeID() BadgeID { return BadgeID("BADGE-" + strings.ToUpper(uuid.NewString())) }

// Value implements driver.Valuer.
func (id BadgeID) Value() (driver.Value, error) {
	return strings.ToLower(strings.TrimPrefix(string(id), "BADGE-")), nil
}

// Scan implements sql.Scanner.
func (id *BadgeID) Scan(src any) error {
	switch src := src.(type) {
	case string:
		*id = BadgeID("BADGE-" + strings.ToUpper(src))
	case []byte:
		*id = BadgeID("BADGE-" + strings.ToUpper(string(src)))
	default:
		return fmt.Errorf("badge id from %T", src)
	}
	return nil
}
