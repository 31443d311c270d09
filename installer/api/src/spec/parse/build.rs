//! Builds trees from the YAML parser's events, within limits.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde_saphyr::granit_parser::{
    self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag,
};

use super::problems::{Place, Problems, excerpt};
use super::tree::{Content, Entry, Mark, Node, Scalar};

/// How deep collections may lie inside each other, aliases followed.
const MAX_DEPTH: usize = 64;
/// How many nodes aliases may add in all. A few lines of aliases to aliases
/// could otherwise mean billions of nodes.
const ALIAS_BUDGET: usize = 10_000;
/// How many documents a file may hold; five kinds are known.
const MAX_DOCUMENTS: usize = 16;

const QUOTES_HELP: &str = "check the indentation and the quotes here and on the line above; values that contain `: ` or ` #`, or begin with one of `*&!%@[]{}`, need quotes";

/// Returns the documents of `text` that say something, up to the first error
/// after which nothing certain can be said.
pub(super) fn build_documents(text: &str, problems: &mut Problems) -> Vec<Node> {
    let options = granit_parser::options! { emit_comments: false };
    let mut builder = Builder {
        problems,
        frames: Vec::new(),
        anchors: HashMap::new(),
        documents: Vec::new(),
        alias_nodes: 0,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let flow = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => builder.stop_at(&error),
        };
        if flow.is_break() {
            break;
        }
    }
    builder.documents
}

struct Builder<'p> {
    problems: &'p mut Problems,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    documents: Vec<Node>,
    alias_nodes: usize,
}

/// A collection whose end has not been seen yet.
struct Frame {
    mark: Mark,
    anchor: usize,
    kind: FrameKind,
}

enum FrameKind {
    Sequence(Vec<Node>),
    Mapping(MappingFrame),
}

#[derive(Default)]
struct MappingFrame {
    entries: Vec<Entry>,
    /// The line on which each key was first seen.
    seen: HashMap<String, usize>,
    pending: Option<Key>,
    merged: Vec<Node>,
}

/// A key whose value has not been seen yet.
enum Key {
    New(String, Mark),
    Merge,
    /// Already reported; its value is dropped.
    Refused,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> ControlFlow<()> {
        let mark = mark_of(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.check_tag(tag.as_deref(), "str", mark);
                let text = text.into_owned();
                let node = Node::new(mark, Content::Scalar(Scalar { text, plain }));
                self.finish(node, anchor);
                ControlFlow::Continue(())
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", mark);
                self.open(mark, anchor, FrameKind::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", mark);
                self.open(mark, anchor, FrameKind::Mapping(MappingFrame::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => self.take_alias(id, mark),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                if self.documents.len() < MAX_DOCUMENTS {
                    return ControlFlow::Continue(());
                }
                let message = format!("the file holds more than {MAX_DOCUMENTS} documents");
                self.stop(mark, message, "remove the documents that are not needed")
            }
            Event::UnresolvedAlias(_)
            | Event::Anchor(..)
            | Event::Comment(..)
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentEnd => ControlFlow::Continue(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn open(&mut self, mark: Mark, anchor: usize, kind: FrameKind) -> ControlFlow<()> {
        if self.frames.len() >= MAX_DEPTH {
            return self.stop_at_depth(mark);
        }
        self.frames.push(Frame { mark, anchor, kind });
        ControlFlow::Continue(())
    }

    fn close(&mut self) -> ControlFlow<()> {
        let Some(frame) = self.frames.pop() else {
            return ControlFlow::Break(());
        };
        let content = match frame.kind {
            FrameKind::Sequence(items) => Content::Sequence(items),
            FrameKind::Mapping(mapping) => Content::Mapping(self.merge(mapping)),
        };
        self.finish(Node::new(frame.mark, content), frame.anchor);
        ControlFlow::Continue(())
    }

    fn take_alias(&mut self, id: usize, mark: Mark) -> ControlFlow<()> {
        let Some(node) = self.anchors.get(&id).map(|node| node.aliased_at(mark)) else {
            let message = "this alias stands inside the value that it names".to_owned();
            return self.stop(mark, message, "write the value out");
        };
        if self.frames.len() + node.height() > MAX_DEPTH {
            return self.stop_at_depth(mark);
        }
        self.alias_nodes = self.alias_nodes.saturating_add(node.nodes());
        if self.alias_nodes > ALIAS_BUDGET {
            let message =
                format!("the file's aliases stand for more than {ALIAS_BUDGET} values in all");
            return self.stop(mark, message, "write the values out, or use fewer aliases");
        }
        self.finish(node, 0);
        ControlFlow::Continue(())
    }

    /// Puts a whole node where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.frames.last_mut().map(|frame| &mut frame.kind) {
            None if node.is_null() => {}
            None => self.documents.push(node),
            Some(FrameKind::Sequence(items)) => items.push(node),
            Some(FrameKind::Mapping(mapping)) => match mapping.pending.take() {
                None => mapping.pending = Some(mapping.key(&node, self.problems)),
                Some(Key::New(key, mark)) => mapping.entries.push(Entry {
                    key,
                    mark,
                    value: node,
                }),
                Some(Key::Merge) => mapping.merged.push(node),
                Some(Key::Refused) => {}
            },
        }
    }

    /// Returns the mapping's entries and, after them, those that `<<` brings
    /// and that the mapping does not have itself.
    fn merge(&mut self, mapping: MappingFrame) -> Vec<Entry> {
        let MappingFrame {
            mut entries,
            mut seen,
            merged,
            ..
        } = mapping;
        for node in &merged {
            let sources: &[Node] = match node.content() {
                Content::Sequence(items) => items,
                Content::Mapping(_) | Content::Scalar(_) => std::slice::from_ref(node),
            };
            for source in sources {
                let Content::Mapping(more) = source.content() else {
                    self.problems.report(
                        &Place::document(source.mark),
                        format!("`<<` merges mappings, and this is {}", source.description()),
                        "name a mapping: `<<: *anchor`",
                    );
                    continue;
                };
                for entry in more {
                    if seen.insert(entry.key.clone(), entry.mark.line).is_none() {
                        entries.push(entry.clone());
                    }
                }
            }
        }
        entries
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, mark: Mark) {
        if let Some(tag) = tag
            && !tag.is_yaml_core_schema_tag(expected)
        {
            let message = format!(
                "the YAML tag `{}` is not known here",
                excerpt(&tag.original())
            );
            let help = "remove the tag: each field has one type, and a text that looks like a number can be put in quotes";
            self.problems.report(&Place::document(mark), message, help);
        }
    }

    fn stop_at_depth(&mut self, mark: Mark) -> ControlFlow<()> {
        let message = format!("values lie more than {MAX_DEPTH} levels inside each other");
        self.stop(mark, message, "a cluster file needs fewer than ten levels")
    }

    fn stop_at(&mut self, error: &ScanError) -> ControlFlow<()> {
        let mark = mark_of(Span::empty(*error.marker()));
        let is_tab = matches!(
            error.kind(),
            ErrorKind::TabInBlockIndentation
                | ErrorKind::TabInIndentation
                | ErrorKind::TabNotAllowed
        );
        let help = if is_tab {
            "indent with spaces: YAML does not take tabs there"
        } else if *error.kind() == ErrorKind::UnknownAnchor {
            "define the anchor with `&name` before this line"
        } else {
            QUOTES_HELP
        };
        self.stop(
            mark,
            format!("this is not valid YAML: {}", error.info()),
            help,
        )
    }

    fn stop(&mut self, mark: Mark, message: String, help: &str) -> ControlFlow<()> {
        self.problems.report(&Place::document(mark), message, help);
        ControlFlow::Break(())
    }
}

impl MappingFrame {
    fn key(&mut self, node: &Node, problems: &mut Problems) -> Key {
        let Content::Scalar(scalar) = node.content() else {
            problems.report(
                &Place::document(node.mark),
                format!("a key must be text, and this is {}", node.description()),
                "write `name: value`",
            );
            return Key::Refused;
        };
        if scalar.plain && scalar.text == "<<" {
            return Key::Merge;
        }
        if let Some(first) = self.seen.get(&scalar.text) {
            let key = excerpt(&scalar.text);
            problems.report(
                &Place::document(node.mark),
                format!("`{key}` is given twice; the first is on line {first}"),
                format!("remove one `{key}`"),
            );
            return Key::Refused;
        }
        self.seen.insert(scalar.text.clone(), node.mark.line);
        Key::New(scalar.text.clone(), node.mark)
    }
}

fn mark_of(span: Span) -> Mark {
    let length = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col()).max(1)
    } else {
        1
    };
    Mark {
        line: span.start.line(),
        column: span.start.col() + 1,
        length,
    }
}
