//go:build tools

package examples

import _ "entgo.io/ent/entc"
