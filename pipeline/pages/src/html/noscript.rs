//! Takes images out of `<noscript>`, where pages that load images by script keep them for everybody else.

use std::collections::BTreeSet;

use crate::html::drops::Drops;
use crate::html::image_source::{Showing, showing};
use crate::html::parse::names::Name;
use crate::html::tree::{NodeId, Tree};

/// Takes each dropped `<noscript>` out of the page, and puts its images in its place. Where an image stands beside it (the
/// nearest element of the same parent, before it or else behind it, or in an `<a>`, `<span>` or `<picture>` there), that may
/// be the image for those with scripts: if it shows nothing but a placeholder, the others replace it; if a lazy-loading
/// attribute names what it shows, they go. The answer is what was put in: what the page shows elsewhere is not to be shown
/// again.
pub fn release_images(tree: &mut Tree<'_>, drops: &Drops) -> BTreeSet<NodeId> {
    let mut released = BTreeSet::new();
    let is_dropped = |tree: &Tree<'_>, id: NodeId| {
        tree.element(id) == Some(Name::Noscript) && drops.has_name(tree, id, Name::Noscript)
    };
    if !(0..tree.node_count() as NodeId).any(|id| is_dropped(tree, id)) {
        return released;
    }
    let beside = |(noscript, images): (NodeId, Vec<NodeId>)| {
        let beside = if images.is_empty() { None } else { image_beside(tree, noscript) };
        (noscript, images, beside.map(|image| (image, showing(tree, image))))
    };
    let found: Vec<_> = noscripts(tree, is_dropped).into_iter().map(beside).collect();
    for (noscript, images, beside) in found {
        match beside {
            Some((_, Showing::Lazily)) => {}
            Some((image, Showing::Placeholder)) if tree.parent(image).is_some() => {
                images.iter().for_each(|fallback| tree.move_before(*fallback, image));
                tree.detach(image);
            }
            _ => {
                images.iter().for_each(|image| tree.move_before(*image, noscript));
                released.extend(images);
            }
        }
        tree.detach(noscript);
    }
    released
}

/// The outermost dropped `<noscript>`s, in order, each with the images in it.
fn noscripts(tree: &Tree<'_>, is_dropped: impl Fn(&Tree<'_>, NodeId) -> bool) -> Vec<(NodeId, Vec<NodeId>)> {
    let mut found: Vec<(NodeId, Vec<NodeId>)> = Vec::new();
    // Each node with whether it is in one of those found.
    let mut open = vec![(Tree::DOCUMENT, false)];
    while let Some((id, is_inside)) = open.pop() {
        let begins = !is_inside && is_dropped(tree, id);
        match found.last_mut().filter(|_| is_inside && tree.element(id) == Some(Name::Img)) {
            Some((_, images)) => images.push(id),
            None if begins => found.push((id, Vec::new())),
            None => {}
        }
        open.extend(tree.children_reversed(id).map(|child| (child, is_inside || begins)));
    }
    found
}

/// The image that a `<noscript>` stands beside.
fn image_beside(tree: &Tree<'_>, noscript: NodeId) -> Option<NodeId> {
    let is_blank = |id: &NodeId| match (tree.element(*id), tree.text(*id)) {
        (None, Some(text)) => text.trim_ascii().is_empty(),
        (name, _) => name.is_none(),
    };
    let before = tree.before(noscript).find(|id| !is_blank(id));
    let behind = || tree.behind(noscript).find(|id| !is_blank(id));
    before.and_then(|id| image_of(tree, id)).or_else(|| behind().and_then(|id| image_of(tree, id)))
}

/// The image that an element is, or that it is around.
fn image_of(tree: &Tree<'_>, id: NodeId) -> Option<NodeId> {
    match tree.element(id)? {
        Name::Img => Some(id),
        Name::A | Name::Picture | Name::Span => {
            let mut inside =
                tree.children(id).filter(|child| tree.element(*child).is_some_and(|name| name != Name::Source));
            inside.next().filter(|child| tree.element(*child) == Some(Name::Img))
        }
        _ => None,
    }
}
