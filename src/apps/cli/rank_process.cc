#include "apps/cli/rank_process.h"

#include <unistd.h>

#include <iostream>

#include "apps/cli/exit_status.h"
#include "apps/cli/interrupt.h"
#include "engine/agreement.h"

namespace annulus::cli {

namespace {

std::vector<Statement> statements_of(const Arguments& arguments) {
  constexpr std::size_t kLongest = 200;
  std::vector<Statement> made;
  for (std::size_t i = 0; i < arguments.size(); ++i)
    made.push_back({text_of("argument ", i + 1), "\"" + arguments[i].substr(0, kLongest) + "\""});
  return made;
}

}  // namespace

RankProcess::RankProcess(const RankPlace& place) : place_(place), page_(RunPage::of_parent()) {
  if (page_ != nullptr && place.rank >= page_->ranks()) page_.reset();
  if (page_ != nullptr) {
    RankSlot& slot = page_->slot(place.rank);
    slot.process = getpid();
    slot.state = RankSlot::Running;
    bind_to_share(place);
    if (place.rank == 0) take_parents_outputs();
  }
  if (place.rank != 0) std::cout.setstate(std::ios::failbit);
  catch_interrupts();
}

RankProcess::~RankProcess() {
  if (place_.rank != 0) std::cout.clear();
}

void RankProcess::told(std::string_view at) const noexcept {
  if (page_ != nullptr) put_text(page_->slot(place_.rank).place, at);
}

int RankProcess::stop_signal() const noexcept {
  if (page_ != nullptr) return page_->head().stop_signal;  // signals are the parent's affair
  return interrupted();
}

void RankProcess::done() noexcept {
  if (page_ != nullptr) page_->slot(place_.rank).state = RankSlot::Done;
}

int RankProcess::failed(const std::exception& error) noexcept {
  const auto* known = dynamic_cast<const Error*>(&error);
  if (page_ != nullptr) {
    put_error(page_->slot(place_.rank), error);
    return known != nullptr ? exit_status(known->code()) : 1;
  }
  const bool first_is_lost =
      place_.rank == 1 && std::string_view(error.what()).starts_with("rank 0: ");
  if (place_.rank == 0 || known == nullptr || first_is_lost) return report_error(std::cerr, error);
  return exit_status(known->code());
}

int run_as_rank(const RankPlace& place, const Arguments& arguments,
                const std::function<Parsed()>& parse, const std::function<CommOptions()>& options,
                const std::function<void(RankProcess&, Communicator&)>& work) {
  RankProcess process(place);
  try {
    std::exception_ptr mistake;
    try {
      if (parse() == Parsed::HelpShown) {
        process.done();
        return 0;
      }
    } catch (const Error&) {
      mistake = std::current_exception();
    }
    CommOptions comm = options();
    comm.told = [&](std::string_view at) { process.told(at); };
    comm.last_words = [&](std::string_view why) {
      process.failed(Error(ErrorCode::PeerFailure, std::string(why)));
    };
    const std::unique_ptr<Communicator> world = make_mpi(comm);
    if (place.ranks > 1 && world->size() == 1)  // each would draw the whole picture
      throw Error(ErrorCode::Unsupported,
                  text_of("MPI: wanted ", place.ranks,
                          " ranks, found each by itself: what started "
                          "them speaks another language than this MPI"),
                  "srun --mpi=pmix, or the mpirun that belongs to the library");
    require_agreement(*world, statements_of(arguments));
    together(*world, [&] {
      if (mistake) std::rethrow_exception(mistake);
    });
    work(process, *world);
  } catch (const std::exception& error) {
    return process.failed(error);
  }
  process.done();
  return 0;
}

}  // namespace annulus::cli
