// Package schema has an entity of a name that is taken.
package schema

import (
	"entgo.io/ent"
)

type Atomic struct{ ent.Schema }
