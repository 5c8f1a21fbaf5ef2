// Package terminal shows people what happens: steps with a live line (Log), a table of steps that is redrawn in place
// (Steps), tables with styles (Page) and a full screen (Watch). Where the output is no terminal, whole lines are written.
//
// It owns the screen: its width, the redrawing, what is cut, how times are written, and that the text of other programs
// cannot move the cursor. It must not know what is shown: nothing of pipelines, clusters or calls.
package terminal
