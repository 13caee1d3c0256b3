use super::Letter;
use crate::alert::language::at;
use crate::alert::text::Advice;
use crate::domain::{DiskRoom, Trouble};
use crate::outbox::TroubleRow;

impl Letter<'_> {
    /// Writes of the store's disk, as it is by the last row; returns the state for the subject.
    pub(super) fn disk(&mut self) -> String {
        let Some(TroubleRow {
            at: when,
            trouble: Trouble::Disk { room, free, reserve },
            ..
        }) = self.rows.last()
        else {
            return String::new();
        };
        let [free, reserve] = [free, reserve].map(|bytes| self.megabytes(*bytes));
        match room {
            DiskRoom::Enough => self.what_happened(
                "The disk of the store has room again.",
                "Le disque du stockage a de nouveau de la place.",
            ),
            DiskRoom::Full => self.what_happened(
                "The disk of the store is full: new notifications are refused (503).",
                "Le disque du stockage est plein : les nouvelles notifications sont refusées (503).",
            ),
            DiskRoom::Low => self.what_happened(
                "The disk of the store is nearly full. New notifications are still accepted.",
                "Le disque du stockage est presque plein. Les nouvelles notifications sont encore acceptées.",
            ),
        }
        self.fact("At", "Le", &at(*when));
        self.fact("Free", "Libre", &free);
        let limit = self.say(
            format!("at {reserve} nothing new is accepted"),
            format!("à {reserve}, plus rien n'est accepté"),
        );
        self.fact("Limit", "Limite", &limit);
        self.what_the_disk_means(*room);
        if *room != DiskRoom::Enough {
            self.how_to_make_room();
        }
        match room {
            DiskRoom::Enough => self
                .say("the disk has room again", "le disque a de nouveau de la place")
                .to_owned(),
            DiskRoom::Full => self.say(
                format!("the disk is full, {free} free: notifications are refused"),
                format!("disque plein, {free} libres : les notifications sont refusées"),
            ),
            DiskRoom::Low => self.say(
                format!("the disk is nearly full, {free} free"),
                format!("disque presque plein, {free} libres"),
            ),
        }
    }

    fn what_the_disk_means(&mut self, room: DiskRoom) {
        match room {
            DiskRoom::Enough => {
                self.what_it_means("Everything is accepted as usual.", "Tout est accepté comme d'habitude.");
                self.what_happens_next(
                    "Nothing more is needed. What was refused in the meantime is told in an e-mail of its own.",
                    "Plus rien à faire. Ce qui a été refusé entre-temps est dit dans un e-mail à part.",
                );
                self.what_you_can_do(Vec::new());
            }
            DiskRoom::Full => {
                self.what_it_means(
                    "The gateway may not send again what is refused now, and then no shop of the company knows what it \
                     tells. What was stored before is still delivered: the rest of the disk is kept for that.",
                    "La plateforme ne renverra peut-être pas ce qui est refusé maintenant ; alors aucune boutique de la \
                     société n'en saura rien. Ce qui était déjà conservé est toujours livré : le reste du disque y est \
                     réservé.",
                );
                self.what_happens_next(
                    "Once there is room again, everything is accepted again, and you are told. What was refused is \
                     listed in an e-mail of its own, so that it can be sent again by hand.",
                    "Dès qu'il y a de la place, tout est accepté à nouveau, et vous êtes prévenu. Un e-mail à part liste \
                     ce qui a été refusé, pour le faire renvoyer à la main.",
                );
            }
            DiskRoom::Low => {
                self.what_it_means(
                    "Nothing yet. Once the limit is reached, notifications are refused, and may be lost.",
                    "Rien pour l'instant. Une fois la limite atteinte, les notifications sont refusées, et peuvent être \
                     perdues.",
                );
                self.what_happens_next(
                    "You are told when nothing is accepted any more, and when there is room again.",
                    "Vous serez prévenu quand plus rien ne sera accepté, et quand il y aura de nouveau de la place.",
                );
            }
        }
    }

    fn how_to_make_room(&mut self) {
        let see = Advice::command(
            self.say("See what fills the disk:", "Voyez ce qui remplit le disque :"),
            "df -h".into(),
        );
        let room = Advice::words(self.say(
            "Make room, or make the disk larger. Never delete the store, nor the files beside it.",
            "Faites de la place, ou agrandissez le disque. N'effacez jamais le stockage, ni les fichiers à côté de lui.",
        ));
        let store = Advice::command(
            self.say(
                "If it is the store itself that grows: see which destination does not take its deliveries, or write a \
                 shorter `keep_bodies` in [store].",
                "Si c'est le stockage qui grossit : voyez quelle destination ne prend pas ses envois, ou écrivez un \
                 `keep_bodies` plus court dans [store].",
            ),
            self.voice.command("status"),
        );
        self.what_you_can_do(vec![see, room, store]);
    }

    fn megabytes(&self, bytes: u64) -> String {
        format!("{} {}", bytes / 1_000_000, self.say("MB", "Mo"))
    }
}
