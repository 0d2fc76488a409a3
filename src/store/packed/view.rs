//! A packed row, read where it lies: a row that nothing happened to costs no allocation.

use std::borrow::Cow;

use crate::model::recorded::{
    Loc, Moved, PlaceRow, PlaceState, ProductKey, ProductRow, Slot, Stamp, is_component,
    stays_in_folder,
};
use crate::model::{
    Channel, ContentHash, Edited, ObjToken, ObjType, Object, PlaceKey, PlaceToken, SourceName,
};

use super::bytes::In;
use super::{
    Bad, CHANNELS, FORM, HAS_EDITED, HAS_LINK, HAS_ORDER, HAS_PARENT, HAS_PART, HAS_PART_NAME,
    HAS_RARE, HAS_READ, HAS_REVISION, HAS_URL, IS_DOUBTFUL, Near, OBJECT_IS_PLACE, OTHER_TYPE,
    Rare, SLOT_BITS, STEM_AND_MORE, STEM_AND_USUAL, STEM_IS_TITLE, TYPES, UNUSED,
    URL_ENDS_IN_TOKEN, WHOLE_NAME, channel_code, slot_of, usual_suffix,
};

/// A place's row, borrowed from the manifest. All of it is sound: names that leave their
/// folder, or bytes cut short, make no view.
#[derive(Debug)]
pub struct RowView<'a> {
    source: &'a str,
    token: &'a str,
    ty: Type<'a>,
    obj_token: &'a str,
    title: &'a str,
    stem: Stem<'a>,
    parent: Option<&'a str>,
    created_secs: i64,
    order: u32,
    url: Option<(&'a str, &'a str)>,
    edited: Option<Edited>,
    names: NameViews<'a>,
    products: ProductViews<'a>,
    /// Some product is a link or doubtful.
    odd_product: bool,
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Clone, Copy)]
enum Type<'a> {
    Known(u8),
    Other(&'a str),
}

/// The two texts that a stem is made of.
#[derive(Debug, Clone, Copy)]
struct Stem<'a>(&'a str, &'a str);

impl<'a> Stem<'a> {
    fn and(self, more: &'a str) -> Cow<'a, str> {
        match (self.1, more) {
            ("", "") => Cow::Borrowed(self.0),
            (rest, more) => Cow::Owned([self.0, rest, more].concat()),
        }
    }
}

fn component(name: &str) -> Result<(), Bad> {
    if is_component(name) { Ok(()) } else { Err(no_component(name)) }
}

fn no_component(name: &str) -> Bad {
    Bad::Owned(format!("{name:?} is no file name"))
}

impl<'a> RowView<'a> {
    /// Reads the row of a place and checks all of it.
    pub(in crate::store) fn read(
        source: &'a str,
        token: &'a str,
        bytes: &'a [u8],
    ) -> Result<Self, Bad> {
        let mut from = In(bytes);
        if from.byte()? != FORM {
            return Err(Bad::Borrowed("its form is unknown"));
        }
        let flags = from.byte()?;
        let has = |flag: u8| flags & flag != 0;
        let ty = match from.byte()? {
            OTHER_TYPE => Type::Other(from.text()?),
            code if usize::from(code) < TYPES.len() => Type::Known(code),
            _ => return Err(Bad::Borrowed("its type is unknown")),
        };
        let obj_token = if has(OBJECT_IS_PLACE) { token } else { from.text()? };
        let title = from.text()?;
        let stem = if has(STEM_IS_TITLE) {
            Stem(title, "")
        } else {
            let shared = usize::try_from(from.number()?).ok();
            let shared = shared.and_then(|shared| title.get(..shared));
            Stem(shared.ok_or(Bad::Borrowed("its stem is no text"))?, from.text()?)
        };
        component(&stem.and(""))?;
        let parent = has(HAS_PARENT).then(|| from.text()).transpose()?;
        let created_secs = from.near(0)?;
        let order = if has(HAS_ORDER) { from.number()? } else { 0 };
        let order = u32::try_from(order).map_err(|_| "its order is too large")?;
        let url = has(HAS_URL).then(|| from.text()).transpose()?;
        let end = if has(URL_ENDS_IN_TOKEN) { obj_token } else { "" };
        let edited = if has(HAS_EDITED) {
            let channel = *CHANNELS
                .get(usize::from(from.byte()?))
                .ok_or(Bad::Borrowed("its channel is unknown"))?;
            let at_secs = from.near(created_secs)?;
            Some(Edited { channel, at_secs, seen_secs: from.near(at_secs)? })
        } else {
            None
        };
        let names = NameViews { left: from.number()?, stem, from };
        let mut walk = NameViews { ..names };
        while walk.left > 0 {
            match walk.step()?.1 {
                Name::Whole(name) => component(name)?,
                // The stem is a component already.
                Name::Stem(more) if stays_in_folder(more) => {}
                Name::Stem(more) => return Err(no_component(&stem.and(more))),
            }
        }
        from = walk.from;
        let near = Near::of(created_secs, edited.map(|edited| (edited.at_secs, edited.seen_secs)));
        let products = ProductViews { left: from.number()?, near, from };
        let mut walk = ProductViews { ..products };
        let mut odd_product = false;
        while walk.left > 0 {
            let product = walk.step()?;
            if let Some(name) = product.part_name {
                component(name)?;
            }
            odd_product |= product.doubtful || product.link.is_some();
        }
        let rest = walk.from.0;
        let rare = if has(HAS_RARE) {
            Some(serde_json::from_slice(rest).map_err(|error| error.to_string())?)
        } else if rest.is_empty() {
            None
        } else {
            return Err(Bad::Borrowed("more follows where it should end"));
        };
        Ok(Self {
            source,
            token,
            ty,
            obj_token,
            title,
            stem,
            parent,
            created_secs,
            order,
            url: url.map(|url| (url, end)),
            edited,
            names,
            products,
            odd_product,
            rare,
        })
    }

    /// Only the place whose folder it stands in; the rest is not even looked at.
    pub(in crate::store) fn parent_in(bytes: &'a [u8]) -> Result<Option<&'a str>, Bad> {
        let mut from = In(bytes);
        if from.byte()? != FORM {
            return Err(Bad::Borrowed("its form is unknown"));
        }
        let flags = from.byte()?;
        if flags & HAS_PARENT == 0 {
            return Ok(None);
        }
        if from.byte()? == OTHER_TYPE {
            from.text()?;
        }
        if flags & OBJECT_IS_PLACE == 0 {
            from.text()?;
        }
        from.text()?;
        if flags & STEM_IS_TITLE == 0 {
            from.number()?;
            from.text()?;
        }
        from.text().map(Some)
    }

    /// The configured source that lists it.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// Its token there.
    pub fn token(&self) -> &'a str {
        self.token
    }

    /// Both of them.
    pub fn key(&self) -> PlaceKey {
        PlaceKey { source: SourceName::new(self.source), token: PlaceToken::new(self.token) }
    }

    /// What kind of thing stands there.
    pub fn obj_type(&self) -> ObjType {
        match self.ty {
            Type::Known(code) => TYPES[usize::from(code)].clone(),
            Type::Other(word) => ObjType::from(word),
        }
    }

    /// The token of what stands there.
    pub fn obj_token(&self) -> &'a str {
        self.obj_token
    }

    /// The title its names were made from.
    pub fn title(&self) -> &'a str {
        self.title
    }

    /// The stem given, with its suffix if it got one.
    pub fn stem(&self) -> Cow<'a, str> {
        self.stem.and("")
    }

    /// The place whose folder it stands in; `None` for the source's own.
    pub fn parent(&self) -> Option<&'a str> {
        self.parent
    }

    /// See [`PlaceRow::created_secs`].
    pub fn created_secs(&self) -> i64 {
        self.created_secs
    }

    /// See [`PlaceRow::order`].
    pub fn order(&self) -> u32 {
        self.order
    }

    /// Where to open it in a browser.
    pub fn url(&self) -> Option<Cow<'a, str>> {
        self.url.map(|(start, end)| match end {
            "" => Cow::Borrowed(start),
            end => Cow::Owned([start, end].concat()),
        })
    }

    /// True for this URL, without making it.
    pub fn has_url(&self, url: Option<&str>) -> bool {
        match (self.url, url) {
            (None, None) => true,
            (Some((start, end)), Some(url)) => url.strip_prefix(start) == Some(end),
            _ => false,
        }
    }

    /// The edit time the last listing showed.
    pub fn edited(&self) -> Option<Edited> {
        self.edited
    }

    /// Whether it is still there.
    pub fn state(&self) -> &PlaceState {
        self.rare.as_ref().map_or(&PlaceState::Live, |rare| &rare.state)
    }

    /// Where a slot stands that does not stand where its name says.
    pub fn elsewhere(&self, slot: Slot) -> Option<&Loc> {
        self.rare.as_ref()?.elsewhere.get(&slot)
    }

    /// True where it is live and nothing out of the common is remembered of it: no target,
    /// absence, page, outcome, doubt or link, and everything stands where its names say.
    pub fn is_plain(&self) -> bool {
        self.rare.is_none() && !self.odd_product
    }

    /// The names given, by slot.
    pub fn names(&self) -> NameViews<'a> {
        NameViews { ..self.names }
    }

    /// What is on disk.
    pub fn products(&self) -> ProductViews<'a> {
        ProductViews { ..self.products }
    }

    /// The whole row.
    pub fn to_row(&self) -> PlaceRow {
        let rare = self.rare.as_deref();
        PlaceRow {
            object: Object { ty: self.obj_type(), token: ObjToken::new(self.obj_token) },
            target: rare.and_then(|rare| rare.target.clone()),
            target_place: rare.and_then(|rare| rare.target_place.clone()),
            object_title: rare.and_then(|rare| rare.object_title.clone()),
            title: self.title.to_owned(),
            parent: self.parent.map(PlaceToken::from),
            created_secs: self.created_secs,
            order: self.order,
            url: self.url().map(Cow::into_owned),
            edited: self.edited,
            state: self.state().clone(),
            absent_walks: rare.map_or(0, |rare| rare.absent_walks),
            stem: self.stem().into_owned(),
            names: self.names().map(|(slot, name)| (slot, name.into_owned())).collect(),
            products: self.products().map(|product| (product.key(), product.row())).collect(),
            page: rare.and_then(|rare| rare.page.clone()),
            outcomes: rare.map(|rare| rare.outcomes.clone()).unwrap_or_default(),
            elsewhere: rare.map(|rare| rare.elsewhere.clone()).unwrap_or_default(),
        }
    }
}

/// The names of a row: slots and what stands there.
#[derive(Debug)]
pub struct NameViews<'a> {
    left: u64,
    stem: Stem<'a>,
    from: In<'a>,
}

/// A name as it is written.
enum Name<'a> {
    /// What follows the stem.
    Stem(&'a str),
    Whole(&'a str),
}

impl<'a> NameViews<'a> {
    fn step(&mut self) -> Result<(Slot, Name<'a>), Bad> {
        self.left -= 1;
        let byte = self.from.byte()?;
        let slot = slot_of(byte & SLOT_BITS).ok_or(Bad::Borrowed("a slot is unknown"))?;
        let name = match byte >> 6 {
            STEM_AND_USUAL => Name::Stem(usual_suffix(slot)),
            STEM_AND_MORE => Name::Stem(self.from.text()?),
            WHOLE_NAME => Name::Whole(self.from.text()?),
            _ => return Err(Bad::Borrowed("a name is in an unknown form")),
        };
        Ok((slot, name))
    }
}

impl<'a> Iterator for NameViews<'a> {
    type Item = (Slot, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        // Checked when the view was made.
        let (slot, name) = (self.left > 0).then(|| self.step().ok()).flatten()?;
        let name = match name {
            Name::Stem(more) => self.stem.and(more),
            Name::Whole(name) => Cow::Borrowed(name),
        };
        Some((slot, name))
    }
}

/// A product of a row, borrowed. See [`ProductKey`], [`ProductRow`] and [`Stamp`].
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as in the rows")]
pub struct ProductView<'a> {
    pub slot: Slot,
    pub part: Option<&'a str>,
    pub part_name: Option<&'a str>,
    pub size: u64,
    pub blake3: &'a [u8; 32],
    pub mtime_secs: i64,
    pub link: Option<&'a str>,
    pub doubtful: bool,
    pub seen_secs: i64,
    pub revision: Option<i64>,
    pub read_secs: Option<i64>,
    times: [Option<i64>; CHANNELS.len()],
}

impl ProductView<'_> {
    /// The edit time of a channel in its stamp.
    pub fn time(&self, channel: Channel) -> Option<i64> {
        self.times[usize::from(channel_code(channel))]
    }

    /// As [`Stamp::compare`].
    pub fn compare(&self, now: Edited) -> Moved {
        now.against(self.time(now.channel), self.seen_secs)
    }

    /// What it is kept under in the row.
    pub fn key(&self) -> ProductKey {
        ProductKey { slot: self.slot, part: self.part.map(ToOwned::to_owned) }
    }

    /// Its stamp.
    pub fn stamp(&self) -> Stamp {
        let times = CHANNELS.into_iter().zip(self.times);
        Stamp {
            times: times.filter_map(|(channel, at)| Some((channel, at?))).collect(),
            seen_secs: self.seen_secs,
            revision: self.revision,
            read_secs: self.read_secs,
        }
    }

    /// The whole of it.
    pub fn row(&self) -> ProductRow {
        ProductRow {
            part_name: self.part_name.map(ToOwned::to_owned),
            size: self.size,
            blake3: ContentHash(*self.blake3),
            mtime_secs: self.mtime_secs,
            link: self.link.map(ToOwned::to_owned),
            stamp: self.stamp(),
            doubtful: self.doubtful,
        }
    }
}

/// The products of a row.
#[derive(Debug)]
pub struct ProductViews<'a> {
    left: u64,
    near: Near,
    from: In<'a>,
}

impl<'a> ProductViews<'a> {
    fn step(&mut self) -> Result<ProductView<'a>, Bad> {
        self.left -= 1;
        let (near, from) = (self.near, &mut self.from);
        let head = from.byte()?;
        let slot = slot_of(head & SLOT_BITS).ok_or(Bad::Borrowed("a slot is unknown"))?;
        let flags = from.byte()?;
        if flags & UNUSED != 0 {
            return Err(Bad::Borrowed("a product is in an unknown form"));
        }
        let has = |flag: u8| flags & flag != 0;
        let part = (head & HAS_PART != 0).then(|| from.text()).transpose()?;
        let part_name = (head & HAS_PART_NAME != 0).then(|| from.text()).transpose()?;
        let size = from.number()?;
        let blake3 = from.take(32)?.try_into().expect("so many were taken");
        let mtime_secs = from.near(near.at_secs)?;
        let mut times = [None; CHANNELS.len()];
        for (code, time) in times.iter_mut().enumerate() {
            *time = has(1 << code).then(|| from.near(near.at_secs)).transpose()?;
        }
        let seen_secs = from.near(near.seen_secs)?;
        let revision = has(HAS_REVISION).then(|| from.near(0)).transpose()?;
        let read_secs = has(HAS_READ).then(|| from.near(seen_secs)).transpose()?;
        let link = has(HAS_LINK).then(|| from.text()).transpose()?;
        let doubtful = has(IS_DOUBTFUL);
        Ok(ProductView {
            slot,
            part,
            part_name,
            size,
            blake3,
            mtime_secs,
            link,
            doubtful,
            seen_secs,
            revision,
            read_secs,
            times,
        })
    }
}

impl<'a> Iterator for ProductViews<'a> {
    type Item = ProductView<'a>;

    fn next(&mut self) -> Option<ProductView<'a>> {
        // Checked when the view was made.
        (self.left > 0).then(|| self.step().ok()).flatten()
    }
}
