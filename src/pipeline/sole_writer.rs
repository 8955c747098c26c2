//! Who writes the outputs of a venue: one application only, or their rows would be mixed.

use lobstream_market::instrument::Venue;
use lobstream_streams::log::TopicName;
use lobstream_streams::log::topic::decisions;

use crate::codec::topic_name;
use crate::error::Error;
use crate::pipeline::factors::{PipelineOptions, app_name};

/// Every application keeps a topic of its decisions, which tells for ever that it was here.
///
/// # Errors
/// Another application has written the outputs of a venue on this log.
pub fn check_sole_writer(options: &PipelineOptions, topics: &[TopicName]) -> Result<(), Error> {
    options.venues.iter().try_for_each(|venue| {
        let Some(other) = topics.iter().find_map(|topic| other_app(options, *venue, topic, topics)) else {
            return Ok(());
        };
        let output = topic_name(&options.output_prefix, "factors", *venue);
        Err(Error::Exists {
            what: format!(
                "{output} is written by the application {other:?} and {:?} would mix its rows in: give --app {other}, \
                 or topics of its own by --output-prefix, such as --output-prefix {}.",
                options.app, options.app
            ),
        })
    })
}

/// The application that keeps its decisions in this topic, if it writes the outputs of the venue and is not ours.
fn other_app<'t>(
    options: &PipelineOptions,
    venue: Venue,
    topic: &'t TopicName,
    topics: &[TopicName],
) -> Option<&'t str> {
    let end = decisions(&app_name("", "", venue));
    let app = topic.as_str().strip_prefix(options.output_prefix.as_str())?.strip_suffix(end.as_str())?;
    let is_ours = app == options.app;
    (!is_ours && !app.is_empty() && !is_elsewhere(&options.output_prefix, app, venue, topics)).then_some(app)
}

/// What looks like a long name may be a short one behind a longer prefix: then its outputs have that too.
fn is_elsewhere(prefix: &str, app: &str, venue: Venue, topics: &[TopicName]) -> bool {
    let ends = app.char_indices().map(|(i, _)| i).skip(1);
    ends.map(|i| topic_name(&format!("{prefix}{}", &app[..i]), "factors", venue)).any(|t| topics.contains(&t))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::rules;
    use crate::feed::writer::WriterOptions;

    fn check(app: &str, output_prefix: &str, topics: &[&str]) -> Result<(), Error> {
        let options = PipelineOptions {
            app: app.to_owned(),
            topic_prefix: String::new(),
            output_prefix: output_prefix.to_owned(),
            venues: vec![Venue::BinanceSpot, Venue::BinanceUsdm],
            rules: Arc::new(rules::load(None).expect("none")),
            seen: Default::default(),
            disorder: WriterOptions::default().disorder,
        };
        let topics: Vec<TopicName> = topics.iter().map(|t| TopicName::new(t)).collect();
        check_sole_writer(&options, &topics)
    }

    #[test]
    fn a_second_application_is_refused_with_the_name_of_the_first() {
        let topics = ["factors.binance-usdm", "lob.binance-usdm-decisions", "market.binance-usdm"];
        check("lob", "", &topics).expect("it goes on");
        let error = check("other", "", &topics).expect_err("two writers");
        assert_eq!(error.exit_code(), 6);
        let text = error.to_string();
        for word in ["factors.binance-usdm", "\"lob\"", "--app lob", "--output-prefix other."] {
            assert!(text.contains(word), "{word} is missing in {text}");
        }
        check("other", "other.", &topics).expect("it has topics of its own");
    }

    #[test]
    fn environments_of_other_prefixes_are_not_in_the_way() {
        let topics = ["test.factors.binance-spot", "test.lob.binance-spot-decisions"];
        check("mine", "", &topics).expect("the other one writes test.factors");
        check("mine", "test.", &topics).expect_err("and so would this one");
        check("lob", "test.", &topics).expect("it goes on");
        check("mine", "", &["lob.other-venue-decisions"]).expect("of another venue");
    }
}
